"""Members of timm made smaller by the arguments of their class: fewer blocks, smaller pictures.

Weights of another depth have the same names but for their numbers, so an entry made of them is one
for members of any depth. A picture is made smaller where a member is built for one size of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import torch

from benchmarks.catalogue.vision_operators import declare_operators
from weightkin.catalogue.traced import general

IMAGES = (112, 128)
DEPTHS = (3, 4)  # of the first instance, of the second
LAYERS = (2, 3)  # of each stage
STAGES = (4, 3, 5)

_Facts: TypeAlias = tuple[int, frozenset[str]]


def smaller(name: str, which: int) -> Iterator[dict[str, Any]]:
    """Yield arguments that make a member smaller, the best first, and at last none.

    Parameters
    ----------
    name : str
        Of the member.
    which : int
        Number of the instance: the next one has another depth.

    Yields
    ------
    dict of str to Any
        With each a model has tensors of the same names but for numbers; whether it runs is not
        known.
    """
    depth = shallow(name, which)
    found = [depth, {}] if depth else [{}]
    for own in found:
        yield from ({**own, "img_size": n} for n in IMAGES if _built({**own, "img_size": n}, name))
        yield own


def shallow(name: str, which: int) -> dict[str, Any]:
    """Return arguments for another number of blocks; none where a member takes none."""
    whole = _built({}, name)
    if whole is None:
        return {}
    n, m = (own[which % len(own)] for own in (DEPTHS, LAYERS))
    tries: list[dict[str, Any]] = [{"depth": n}]
    tries += [{key: (m,) * k} for key in ("depths", "layers") for k in STAGES]
    return next((x for x in tries if _is_like(_built(x, name), whole, x)), {})


def _is_like(found: _Facts | None, whole: _Facts, options: Mapping[str, Any]) -> bool:
    """Whether a model has all kinds of tensors, and all stages where these are counted."""
    if found is None or found[1] != whole[1]:
        return False
    return "depth" in options or found[0] == whole[0]


def _built(options: Mapping[str, Any], name: str) -> _Facts | None:
    """Number of stages and names of the tensors of a member; None where it cannot be built so."""
    declare_operators()
    import timm  # type: ignore[import-not-found]  # of `make vision`

    try:
        with torch.device("meta"):
            model = timm.create_model(name, pretrained=False, **options)
    except Exception:  # whatever the class raises: it does not take them
        return None
    return len(getattr(model, "feature_info", ())), frozenset(map(general, model.state_dict()))
