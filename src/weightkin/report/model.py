"""What is in a model, as a record."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial

from weightkin.anatomy.side import Side
from weightkin.anatomy.translate import model_components_of
from weightkin.anatomy.types import Anatomy, Axis
from weightkin.derivation.merge_traces import averaged_positions
from weightkin.derivation.stored_twice import stored_twice
from weightkin.evidence.untested import not_read
from weightkin.formats import Model
from weightkin.formats.declared import MAX_NAME, declared
from weightkin.formats.header_claims import claims_in
from weightkin.records import Clue, Skipped
from weightkin.records.accounting import Ledger
from weightkin.records.built import built
from weightkin.records.components import ModelComponent
from weightkin.records.form import from_text, to_text

MODEL_SCHEMA = "weightkin/model/2"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """One tensor as its header states it, with the role it was given."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """What is in a model: family, blocks, unit axes and their symmetries, tensors, digest."""

    source: str
    name: str
    revision: str
    digest: str
    family: str
    stacks: dict[str, int]
    axes: tuple[Axis, ...]
    tensors: tuple[TensorEntry, ...]
    skipped: tuple[Skipped, ...]
    bytes_read: int
    n_bytes: int = 0  # of all tensors, as they are stored
    ledger: Ledger | None = None
    components: tuple[ModelComponent, ...] = ()  # of a diffusion model
    declared_parents: tuple[str, ...] = ()  # by what lies beside the weights, or their header
    declared_merge: str = ""  # how the header says that they were merged
    evidence: tuple[Clue, ...] = ()  # of how the model was made, in itself
    declared_adapter: str = ""  # module that the header says an adapter was trained with

    def to_json(self) -> str:
        """Return the record as JSON without empty optional fields."""
        return to_text(MODEL_SCHEMA, asdict(self), 2)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> ModelRecord:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, MODEL_SCHEMA, partial(built, ModelRecord))


def model_record(
    model: Model, anatomy: Anatomy, model_digest: str, ledger: Ledger | None = None
) -> ModelRecord:
    """Return what `show` prints of a model as a record.

    Parameters
    ----------
    model : Model
        The open model.
    anatomy : Anatomy
        Its own.
    model_digest : str
        Its digest.
    ledger : Ledger, optional
        Where the bytes of its files went.

    Returns
    -------
    ModelRecord
        Tensors in the order of ``anatomy.roles``.
    """
    header = claims_in(model.metadata)
    return ModelRecord(
        source=model.source,
        name=model.name,
        revision=model.revision or "",
        digest=model_digest,
        family=anatomy.family,
        stacks=dict(anatomy.stacks),
        axes=anatomy.axes,
        tensors=tuple(
            TensorEntry(
                name=name,
                dtype=model.tensors[name].dtype,
                shape=model.tensors[name].shape,
                role=role,
            )
            for name, role in anatomy.roles
        ),
        skipped=tuple(not_read(Side(model, anatomy))),
        bytes_read=model.bytes_read,
        n_bytes=model.n_bytes,
        ledger=ledger,
        components=tuple(model_components_of(model.tensors)),
        declared_parents=() if model.sketched else declared(model).parents,
        declared_merge=header.method[:MAX_NAME],
        evidence=(
            *averaged_positions(model, model.name),
            *stored_twice(model, anatomy, model.name),
        ),
        declared_adapter=header.adapts[:MAX_NAME],
    )
