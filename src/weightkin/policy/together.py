"""What no test reached in any model of one call: each may hold a part of what is forbidden."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from weightkin.policy.reach import MOST_OUTSIDE, Unreached
from weightkin.records import Because, because
from weightkin.records.checking import Checked


@dataclass(frozen=True, slots=True)
class Weighed:
    """A model with what no test of it reached, for each model that is forbidden by name."""

    checked: Checked
    reached: Mapping[str, Unreached] = field(default_factory=dict)
    n_outside: int = 0  # on no axis of any test
    n_bytes: int = 0


def hidden_together(
    models: Sequence[Weighed], forbidden: Collection[str], n_beside: int, *, is_searched: bool
) -> Iterator[tuple[str, Because]]:
    """What could lie in several models, or in files of a trainer, and why it cannot be excluded.

    What one model alone could hold is a finding of that model. Where no model is forbidden by name
    but registered ones are searched, no size is given, and what is on no axis is weighed against
    all there is.

    Parameters
    ----------
    models : sequence of Weighed
        All models of one call.
    forbidden : collection of str
        Names of the policy.
    n_beside : int
        Bytes of a trainer's files.
    is_searched : bool
        Registered models are searched.

    Yields
    ------
    what, why : str, Because
        The forbidden name, or ``registered models``; and why.
    """
    for name in forbidden:
        reached = [x.reached[name] for x in models if name in x.reached]
        hidden = n_beside + sum(x.hidden for x in reached)
        if reached and max(x.hidden for x in reached) <= reached[0].bound < hidden:
            yield (
                name,
                because(
                    "hidden-together",
                    name=name,
                    n_bytes=hidden,
                    n_models=len(reached),
                    n_beside=n_beside,
                ),
            )
    if is_searched and not forbidden:
        sizes = [(x.n_outside, x.n_bytes) for x in models]
        whole = n_beside + sum(n for n, _ in sizes), n_beside + sum(n for _, n in sizes)
        large = [(outside, n) for outside, n in (whole, *sizes) if outside > MOST_OUTSIDE * n]
        for outside, n in large[:1]:
            yield "registered models", because("hidden-anywhere", n_bytes=outside, n_all=n)
