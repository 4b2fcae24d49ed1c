"""What an entry is, and how the text of a file becomes one. A malformed file raises: it is ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

Positions = Literal["relative", "stored", "unsure"]
ROLES = frozenset(
    {
        *("embed", "embed_copy", "unembed", "position", "position_grid", "token", "token_type"),
        *("norm", "scale", "head", "projector", "router"),
        *("attn.q", "attn.k", "attn.v", "attn.o", "attn.qkv", "attn.latent", "attn.bias"),
        *("attn.q_norm", "attn.k_norm", "attn.sinks"),
        *("mlp.gate", "mlp.up", "mlp.down", "mlp.gate_up", "mlp.up_gate"),
    }
)
FUSED = frozenset({"", "by head", "one key head", "by quarter"})
WORDS = frozenset({*"dguhqkvoeH-", "qkv", "gu", "Dq", "Dk", "..."})
LABEL_FACTS = frozenset(
    {*("n", "in", "sign", "turn", "rot", "start", "norm", "fixed", "when"), *("beside", "latent")}
)


@dataclass(frozen=True, slots=True, eq=False)
class TensorPart:
    """One module (or bare parameter): its pattern, its role, what its dimensions run along."""

    pattern: str
    role: str
    dims: str
    group: str = ""  # which attention or MLP of the block it belongs to, if there are several
    fixed: str = ""  # why V/O dimensions and heads of its attention are not relabelled freely
    heads_fixed: str = ""  # the same for heads alone
    stack: str = ""  # the only stack it may belong to, where prefixes do not show it
    fused: str = ""  # of `FUSED`: the order of queries, keys and values
    behind: str = ""  # a module that feeds it, if present, instead of the residual stream


@dataclass(frozen=True, slots=True)
class Norms:
    """How the norm is called that each reader looks through: the first that is there."""

    attn: tuple[str, ...] = ()
    mlp: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    centred: bool | None = None  # whether they subtract the mean; None where nobody looked
    in_front: tuple[str, ...] = ()  # what embeddings pass on their way into the stream
    on_stream: tuple[str, ...] = ()  # those whose gains the stream itself goes through


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One architecture. The docstring of the package says what each field is."""

    name: str  # of its file
    # which architecture it is: nothing here is taken from the entry that it is like
    about: str = ""
    like: str = ""
    model_types: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    gguf: tuple[str, ...] = ()
    gguf_reordered: bool = False
    # how it is built and stored
    stack: str = ""
    blocks: tuple[str, ...] = ()
    positions: Positions = "unsure"
    stored: Literal["out in", "in out"] = "out in"
    joins: str = ""
    towers: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    norms: Norms = Norms()
    depth: str = ""  # key of the config that says how many blocks there are
    gain_offset: float = 0.0
    last_gain_offset: float | None = None  # that of the others
    gguf_names: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[TensorPart, ...] = ()  # inside a block
    top: tuple[TensorPart, ...] = ()  # outside the blocks

    def added_gain(self, *, is_last: bool) -> float:
        """What the published code adds to the gains that it stores, of the last norm or others."""
        has_own = is_last and self.last_gain_offset is not None
        return self.last_gain_offset or 0.0 if has_own else self.gain_offset

    def label(self, name: str) -> Mapping[str, str]:
        """What is known about one label, whether or not every block has labels of its own."""
        return self.labels.get(f"{name}[i]") or self.labels.get(name, {})

    @property
    def is_odd(self) -> bool:
        """Whether only odd operations act on the up units between up and down."""
        return "sign" in self.label("u")

    @property
    def unembedding(self) -> str:
        """Name of the table that a model with tied embeddings does not store."""
        names = (part.pattern for part in self.top if part.role == "unembed")
        return f"{next(names, '')}.weight"

    @property
    def is_transposed(self) -> bool:
        """Whether weights are stored (in, out)."""
        return self.stored == "in out"

    @property
    def shares_heads(self) -> bool:
        """Whether one relabelling of heads holds for all blocks of a stack."""
        return "kv" in self.labels

    @property
    def has_heads_in_config(self) -> bool:
        """Whether a config can be believed about the number of heads."""
        return "n" in self.label("kv")


_FACTS = {"fixed", "heads_fixed", "stack", "fused", "behind"}
_FIELDS = {f.name for f in fields(Entry)} - {"name", "parts", "top"}
_OWN: dict[str, Any] = {  # what no entry takes from another
    "about": "",
    "like": "",
    "model_types": (),
    "classes": (),
    "gguf": (),
    "gguf_reordered": False,
}


def make_entry(name: str, facts: Mapping[str, Any], parent: Entry | None) -> Entry:
    """Make an entry of the plain facts in its file.

    Parameters
    ----------
    name : str
        Of the file.
    facts : mapping
        What it holds.
    parent : Entry, optional
        The entry that it is like; its tensors come after the own ones.

    Returns
    -------
    Entry
        All tuples in the order of the file.

    Raises
    ------
    ValueError
        A field, role, word or fact of a label that nobody knows.
    """
    _check(name, "field", facts.keys() - {"tensors"}, _FIELDS)
    known = _with_tuples(facts)
    lines = known.pop("tensors", {})
    for label in known.get("labels", {}).values():
        _check(name, "fact of a label", label.keys(), LABEL_FACTS)
    if norms := known.get("norms"):
        _check(name, "norm", norms.keys(), {f.name for f in fields(Norms)})
        known["norms"] = Norms(**_with_tuples(norms))
    base = parent or Entry(name=name)
    inside = (_part(name, key[2:], x) for key, x in lines.items() if key.startswith("#."))
    outside = (_part(name, key, x) for key, x in lines.items() if not key.startswith("#."))
    known["gguf_names"] = {**base.gguf_names, **known.get("gguf_names", {})}
    known["labels"] = {**base.labels, **known.get("labels", {})}
    known["parts"], known["top"] = (*inside, *base.parts), (*outside, *base.top)
    return replace(base, **{**_OWN, **known, "name": name})


def _part(name: str, pattern: str, line: str | Mapping[str, str]) -> TensorPart:
    """One line of ``tensors``: ``role: dimensions`` with an optional group, or that and more."""
    more = {} if isinstance(line, str) else dict(line)
    text = line if isinstance(line, str) else more.pop("is")
    _check(name, "fact of a tensor", more.keys(), _FACTS)
    head, _, dims = text.partition(": ")
    group, _, role = head.rpartition(" ")
    _check(name, "role", {role}, ROLES)
    _check(name, "dimension", {w for dim in dims.split() for w in dim.split("+")}, WORDS)
    _check(name, "order of queries, keys and values", {more.get("fused", "")}, FUSED)
    return TensorPart(pattern, role, dims, group, **more)


def _with_tuples(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(x) if isinstance(x, list) else x for key, x in facts.items()}


def _check(name: str, what: str, found: Iterable[str], known: Set[str]) -> None:
    if unknown := sorted(set(found) - known):
        raise ValueError(f"catalogue entry {name}: unknown {what} {unknown[0]}")
