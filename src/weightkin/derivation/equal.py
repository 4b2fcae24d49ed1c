"""How much of two models is equal, under any name: a fact that needs no test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weightkin.derivation.equality import Equality
from weightkin.derivation.in_common import InCommon, in_common
from weightkin.derivation.unread import NOTHING_UNREAD, Unread, unread_of
from weightkin.formats import Model
from weightkin.records import ModelRef
from weightkin.records.accounting import Equal
from weightkin.sketch import Scheme, Sketch, take_sketch
from weightkin.sketch.layout import in_one_layout
from weightkin.sketch.stand_in import n_parameters, sketch_behind

WHOLE_MODEL_BYTES = 16 << 20  # bytes of a model up to which all of it is looked at


def is_small(model: Model) -> bool:
    """Whether all of a model is looked at."""
    return model.n_bytes <= WHOLE_MODEL_BYTES


def sketch_of(model: Model, scheme: Scheme) -> Sketch:
    """The sketch that a model stands in for, or one that is taken of it."""
    return sketch_behind(model) or take_sketch(model, scheme)


def sketches_of(models: tuple[Model, Model], scheme: Scheme) -> tuple[Sketch, Sketch]:
    """The sketches of two models in one layout."""
    first = sketch_of(models[0], scheme)
    second = first if models[1] is models[0] else sketch_of(models[1], scheme)
    a, b = in_one_layout([first, second])
    return a, b


def schemes_held(models: Sequence[Model]) -> list[Scheme]:
    """Schemes of the sketches among some models."""
    return [sketch.scheme for model in models if (sketch := sketch_behind(model)) is not None]


FIRST_ROWS = Scheme(
    n_rows=1, n_scattered=0, n_columns=1024, n_tail=0, has_views=False
)  # read by digests as well


@dataclass(frozen=True, slots=True)
class Shared:
    """What is equal, and what follows from it before any test."""

    equal: Equal
    common: InCommon
    is_same_file: bool = False
    is_all: bool = False  # every byte of both is the same, and all of it was read
    is_proof: bool = False
    unread: tuple[Unread, Unread] = (NOTHING_UNREAD, NOTHING_UNREAD)

    @property
    def is_read(self) -> bool:
        """Whether everything of both was read."""
        return not any(x.is_any for x in self.unread)

    @property
    def found(self) -> Equality:
        """What is equal, tensor by tensor."""
        return self.common.found


def shared_values(
    models: tuple[Model, Model], refs: tuple[ModelRef, ModelRef], *, quick: bool
) -> Shared:
    """Compare the values of two models: all of small ones, the first rows of others.

    Parameters
    ----------
    models : (Model, Model)
        a and b.
    refs : (ModelRef, ModelRef)
        Their digests and sources.
    quick : bool
        Look at the first rows alone, of small models too.

    Returns
    -------
    Shared
        Equal parameters, the two sketches they were found in, and what follows.
    """
    a, b = refs
    is_file = _is_same_file(models, refs)
    is_full = bool(a.full_digest) and a.full_digest == b.full_digest
    n = min(n_parameters(model) for model in models)
    unread = unread_of(models[0]), unread_of(models[1])
    is_read = not any(x.is_any for x in unread)
    scheme = _scheme(models, quick=quick)
    common = in_common(*sketches_of((models[0], models[0]) if is_file else models, scheme))
    found = common.found
    if is_full or is_file:
        equal = Equal(n_parameters=n, same_name=n, other_name=0, basis="digest")
        is_proof = found.is_telling
        return Shared(equal, common, is_file, is_all=is_read, is_proof=is_proof, unread=unread)
    equal = equal_record(found, n, is_all=scheme.is_whole)
    return Shared(equal, common, is_proof=common.is_proof, unread=unread)


def equal_of_sample(shared: Shared, found: Equality | None) -> Equal:
    """The numbers of a record, from a larger sample where one was looked at since."""
    if found is None or shared.equal.basis != "sample":
        return shared.equal
    return equal_record(found, shared.equal.n_parameters, is_all=False)


def equal_record(found: Equality, n_parameters: int, *, is_all: bool) -> Equal:
    """The numbers of a record; those of a sample stand for the whole.

    Parameters
    ----------
    found : Equality
        What is equal in the sample.
    n_parameters : int
        Of the whole smaller model, to which counts are scaled.
    is_all : bool
        Whether the sample is everything.

    Returns
    -------
    Equal
        Parameters equal under the same and under another name.
    """
    scale = n_parameters / max(1, found.n_parameters)
    return Equal(
        n_parameters=n_parameters,
        same_name=round(found.n_same * scale),
        other_name=round(found.n_other * scale),
        tables=round(found.n_tables * scale),
        basis="all" if is_all else "sample",
    )


def _scheme(models: tuple[Model, Model], *, quick: bool) -> Scheme:
    if held := schemes_held(models):
        return min(held, key=lambda scheme: scheme.name)
    return Scheme.whole() if all(map(is_small, models)) and not quick else FIRST_ROWS


def _is_same_file(models: tuple[Model, Model], refs: tuple[ModelRef, ModelRef]) -> bool:
    """Whether both were read from the same files, unchanged between; names and digests say less."""
    stamps = tuple(model.storage.stamps for model in models)
    return bool(stamps[0]) and stamps[0] == stamps[1] and refs[0].digest == refs[1].digest
