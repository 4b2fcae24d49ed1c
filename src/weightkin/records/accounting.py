"""How much of files and models was looked at, and how the sample was drawn.

Fields of records hold these values only where something filled them in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from weightkin.notebooks import InShort
from weightkin.records.codes import Reason
from weightkin.records.notes import Skipped

EqualBasis = Literal["digest", "all", "sample"]
Effort = Literal["quick", "standard", "thorough"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FileBytes(InShort):
    """Every byte of one file, in exactly one state; ``codes`` say why bytes are not read, or what.

    Of what was not opened, such as a file on a hub or a link, there is a code and no byte.
    """

    file: str
    n_bytes: int
    payload: int  # of stored tensors, each byte of one alone
    container: int
    not_weights: int
    unread: int
    codes: tuple[Reason, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)  # of the codes
    is_opened: bool = True

    @property
    def is_read(self) -> bool:
        """Whether nothing of it is unread."""
        return self.is_opened and not self.unread


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Ledger(InShort):
    """Where every byte of a model's files went. Parameters count once for each stored tensor."""

    files: tuple[FileBytes, ...]
    n_parameters: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing is unread."""
        return all(file.is_read for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Parameters(InShort):
    """Parameters in one state, and why they are in it."""

    n: int
    codes: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Accounting(InShort):
    """Parameters of the smaller of two models, each in exactly one state.

    ``tested`` are on an axis that entered a test, sampled or not; ``compared`` are sampled under
    one role without a test.
    """

    tested: Parameters
    compared: Parameters
    incomparable: Parameters
    unread: Parameters
    bytes_read: int

    @property
    def tested_share(self) -> float:
        """Tested parameters among all."""
        states = (self.tested, self.compared, self.incomparable, self.unread)
        return self.tested.n / max(1, sum(state.n for state in states))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Equal(InShort):
    """Parameters of the smaller model that the other one holds unchanged.

    ``basis`` says what was looked at: digests of everything, all values, or a sample of them.
    """

    n_parameters: int  # of the smaller model, as far as it could be read
    same_name: int
    other_name: int  # or in another layout, but nothing that chance would make equal
    basis: EqualBasis
    tables: int = 0  # of these, made by a formula: equal in models that share nothing

    @property
    def share(self) -> float:
        """Equal parameters among all; tables of a formula only where everything is equal."""
        n = self.same_name + self.other_name
        own = n if n >= self.n_parameters else max(0, n - self.tables)
        return own / max(1, self.n_parameters)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Extent(InShort):
    """Share of all drawn units that match, less that by chance, with its interval over runs."""

    share: float
    low: float
    high: float
    n_runs: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Agreement(InShort):
    """Share of ``n`` units or heads whose own partner is nearest on two views, of two sketches.

    ``control`` is the same share where partners are looked for in other blocks alone; ``level`` how
    alike own partners are, 0 as those of other blocks and 1 where equal.
    """

    share: float
    control: float
    level: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ViewAgreement(InShort):
    """How far two sketches agree on what units and heads do to tokens. It confirms nothing."""

    units: Agreement | None = None
    heads: Agreement | None = None


Drawn = Literal["seed", "own", "joint", "beacon"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Challenge(InShort):
    """The bytes that drew the sample, who drew them, and what binds them to the models.

    They draw units, and the tokens through which units and dimensions of a stream are seen. Of
    sketches, in `locate`, `tree` and searches of a registry nothing is drawn: samples are fixed.
    ``seed``: anybody could know them before. ``own``: by whoever ran it. ``joint``: by both
    parties, who had committed to theirs. ``beacon``: by a public source of randomness.
    """

    drawn: Drawn
    hex: str
    binding: Literal["full", "partial"] = "full"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FreshRun(InShort):
    """A comparison of weights on a sample that was drawn for it; or why there is none.

    ``challenge`` drew the sample, bound to the digests of both models; None where that is all there
    is. With it, ``effort``, ``alpha`` and seed 0, `compare` gives the p-value again.
    """

    log10_pvalue: float = 0.0
    alpha: float = 0.0  # its level
    effort: Effort = "quick"
    challenge: Challenge | None = None
    why_not: Skipped | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PossibleParent(InShort):
    """One candidate of an edge, with its probability.

    A node; or, where ``observed`` is false, ``unobserved`` (made from a relative that is not here)
    or ``root`` (made from none, and the only one here of which that holds).
    """

    parent: str
    probability: float
    observed: bool = True
