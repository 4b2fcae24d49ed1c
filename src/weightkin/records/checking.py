"""The record of `check`: which rules of a policy a model touches, with the evidence of each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

from weightkin.notebooks import InNotebooks, InOneLine, InShort
from weightkin.records.accounting import Ledger
from weightkin.records.built import OneOf, built
from weightkin.records.codes import FindingCode
from weightkin.records.comparison import Summary
from weightkin.records.form import from_text, to_text
from weightkin.records.frames import frame_of
from weightkin.records.notes import Skipped
from weightkin.text import counted

SCHEMA = "weightkin/check/2"

Setting = Literal["error", "warning", "off"]
Level = Literal["error", "warning"]
State = Literal["hit", "unverifiable"]
Outcome = Literal["pass", "hit", "incomplete"]
Drawn = Literal["", "own", "seed", "secret", "sketch"]


RULES: Mapping[str, Setting] = {  # the level of each where a policy says nothing
    "forbidden-ancestor": "error",
    "forbidden-family": "error",
    "missing-parent": "error",
    "undeclared-parent": "error",
    "contradicted-parent": "error",
    "unverified-parent": "error",
    "looser-licence": "error",
    "unknown-licence": "warning",
    "unknown-origin": "warning",
    "unverifiable": "error",
}
ALWAYS = "unverifiable"  # the rule that no policy turns off
NEED_REGISTRY = ("undeclared-parent", "contradicted-parent", "unverified-parent", "unknown-origin")
COLUMNS = (
    "model=model.name", "finding.rule", "finding.level", "finding.state", "finding.code",
    "ancestor=finding.ancestor.name", "finding.summary.verdict", "finding.summary.log10_pvalue",
    "finding.sentence", "finding.fingerprint", "model.source",
)  # fmt: skip
Rule = Annotated[str, OneOf("rule", RULES)]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Ancestor(InShort):
    """The other model of a finding. ``id`` is its number in the registry, 0 if it has none."""

    name: str
    source: str = ""
    digest: str = ""
    id: int = 0
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Against(InOneLine):
    """One model that the policy names, and what a comparison with it showed, or could have shown.

    ``tested`` is the share of the parameters in blocks and embeddings that entered a test,
    ``log10_reach`` the smallest p-value that these tests could have given. ``drawn`` is what drew
    the sample: fresh bytes of the check, its seed, the secret of its policy, or whoever made the
    sketch that was compared; empty in earlier records.
    """

    name: str
    summary: Summary
    tested: float
    log10_reach: float
    source: str = ""  # where it was read
    revision: str = ""
    digest: str = ""
    drawn: Drawn = ""
    limits: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Finding(InOneLine):
    """One rule touched. ``level`` is what the policy makes of it, ``state`` whether it is shown.

    ``code`` and ``data`` say why, and ``summary`` what was found about the ancestor; where a trace
    placed it, its ``parent`` is what that says. ``fingerprint`` depends on the rule, the digest of
    the model and that of the other model alone: the same finding has the same one in every run.
    """

    rule: Rule
    level: Level
    state: State
    code: FindingCode
    data: dict[str, Any] = field(default_factory=dict)
    fingerprint: str
    ancestor: Ancestor | None = None
    summary: Summary | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Checked(InShort):
    """One model with its findings; ``digest`` is empty if it could not be read."""

    name: str
    source: str
    revision: str = ""
    digest: str = ""
    binding: str = ""  # what a draw by the secret of the policy depends on, of this model
    card: str = ""  # file beside the weights that declares, if there is one
    declared_parents: tuple[str, ...] = ()
    declared_relation: str = ""  # to them, as the card says it: finetune, adapter, quantized, merge
    licence: str = ""
    n_compared: int = 0
    against: tuple[Against, ...] = ()
    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    ledger: Ledger | None = None


class _Found(NamedTuple):
    """A row of findings."""

    model: Checked
    finding: Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(InNotebooks):
    """What one call of `check` found. ``rules`` are the levels that were in force."""

    models: tuple[Checked, ...]
    rules: dict[str, str]
    policy: str = ""  # the file
    policy_digest: str = ""  # SHA-256 of the file
    registry: str = ""
    n_registered: int = 0
    secret: str = ""  # commitment to the key that drew samples; never the key
    challenge: str = ""  # fresh bytes that drew them, in hexadecimal; empty: a seed or a secret did
    alpha: float
    parameters: dict[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()  # files that the policy says are not looked at
    seed: int = 0
    seconds: float = 0.0
    version: str = ""

    def __repr__(self) -> str:
        found = counted(len(self.findings), "finding")
        return f"<Check {self.outcome}: {found} in {counted(len(self.models), 'model')}>"

    def to_pandas(self) -> Any:
        """Return the findings as a `pandas.DataFrame`, a row each.

        Columns: ``model``, ``rule``, ``level``, ``state``, ``code``, ``ancestor``, ``verdict``,
        ``log10_pvalue``, ``sentence``, ``fingerprint``, ``source`` (of the model).
        """
        rows = [_Found(model, x) for model in self.models for x in model.findings]
        return frame_of(rows, COLUMNS)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Those of all models."""
        return tuple(x for model in self.models for x in model.findings)

    @property
    def outcome(self) -> Outcome:
        """Whether a rule was hit; `incomplete` outranks it. Warnings change nothing."""
        counted = {x.state for x in self.findings if x.level == "error"}
        if "unverifiable" in counted:
            return "incomplete"
        return "hit" if counted else "pass"

    def to_json(self, indent: int | None = 2) -> str:
        """Return the record as JSON without empty optional fields; refuses NaN and infinity."""
        data = asdict(self)
        return to_text(SCHEMA, {"outcome": self.outcome, **data}, indent)

    @classmethod
    def from_json(cls, text: str, where: str = "record") -> Check:
        """Read a record back; one line says what is wrong with a text that is none."""
        return from_text(text, where, SCHEMA, partial(built, Check))


def fingerprint(rule: str, digest: str, other: str) -> str:
    """Name of a finding: 32 hex digits of SHA-256 over the rule and both models.

    Parameters
    ----------
    rule : str
        Id of the rule.
    digest : str
        Of the model; its source where it could not be read.
    other : str
        The other model, or what was looked at.

    Returns
    -------
    str
        32 hex digits; the same for the same three texts.
    """
    text = "\0".join((rule, digest, other))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
