"""The record of `check`: which rules of a policy a model touches, with the evidence of each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Literal

from weightkin.notebooks import InOneLine
from weightkin.records.accounting import Ledger
from weightkin.records.built import built
from weightkin.records.comparison import Effect, Summary
from weightkin.records.form import from_text, to_text
from weightkin.records.kinds import Kind
from weightkin.records.notes import Skipped

SCHEMA = "weightkin/check/2"

Setting = Literal["error", "warning", "off"]
Level = Literal["error", "warning"]
State = Literal["hit", "unverifiable"]
Outcome = Literal["pass", "hit", "incomplete"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: its level where a policy says nothing, what a hit is called, and means."""

    level: Setting
    title: str
    help: str


RULES: Mapping[str, Rule] = {
    "forbidden-ancestor": Rule(
        "error",
        "The model shares weights with a forbidden model.",
        "An exact test rejects that the two were initialised independently, or their values are "
        "equal. Train from another base, or take the ancestor off the list. A common ancestor of "
        "both is a hit as well.",
    ),
    "forbidden-family": Rule(
        "error",
        "The model has a relative in the family of a forbidden model.",
        "A family is every registered model that shares weights with the one named. Train from "
        "another base, or take the family off the list.",
    ),
    "missing-parent": Rule(
        "error",
        "The weights do not show the parent that is expected.",
        "Check which weights were published, and which parent was meant.",
    ),
    "undeclared-parent": Rule(
        "error",
        "A parent found in the weights is not declared.",
        "Name the parent as base_model in the front matter of README.md: "
        "`weightkin trace MODEL --format model-card` prints the lines.",
    ),
    "contradicted-parent": Rule(
        "error",
        "A declared parent is contradicted by the weights.",
        "Correct base_model in the model card, or check which weights were published.",
    ),
    "unverified-parent": Rule(
        "error",
        "A declared parent could not be held against the weights.",
        "Register the declared parent with `weightkin add`, or name it with --expect-parent.",
    ),
    "looser-licence": Rule(
        "error",
        "The declared licence permits more than that of an ancestor.",
        "The two declared licences stand in different classes of the policy's table. Whether the "
        "combination is allowed is for a person to decide.",
    ),
    "unknown-licence": Rule(
        "warning",
        "A licence of the model or its ancestors is not declared, or not known.",
        "Declare a licence in the front matter of README.md, or give its class under licences "
        "in the policy.",
    ),
    "unknown-origin": Rule(
        "warning",
        "The model has no registered relative and declares no parent.",
        "Declare the parent in the model card, or register the models it may come from.",
    ),
    "unverifiable": Rule(
        "error",
        "A model, or something that the policy names, could not be read or tested.",
        "Make it readable, or its name unambiguous, and run the check again. Nothing is concluded "
        "from what could not be tested.",
    ),
}
ALWAYS = "unverifiable"  # the rule that no policy turns off
NO_REGISTRY = (  # advice where the registry is what is missing
    "Name a registry with --registry FILE, or make one: `weightkin add` the models that the check "
    "is about. Nothing is concluded from what could not be tested."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestor:
    """The other model of a finding. ``id`` is its number in the registry, 0 if it has none."""

    name: str
    source: str = ""
    digest: str = ""
    id: int = 0
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Against(InOneLine):
    """One model that the policy names, and what a comparison with it showed, or could have shown.

    ``tested`` is the share of the parameters in blocks and embeddings that entered a test,
    ``log10_reach`` the smallest p-value that these tests could have given.
    """

    name: str
    summary: Summary
    tested: float
    log10_reach: float
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule touched. ``level`` is what the policy makes of it, ``state`` whether it is shown.

    ``fingerprint`` depends on the rule, the digest of the model and that of the other model alone:
    the same finding has the same one in every run.
    """

    rule: str
    level: Level
    state: State
    reason: str
    advice: str
    fingerprint: str
    ancestor: Ancestor | None = None
    verdict: str = ""
    basis: str = ""
    log10_pvalue: float = 0.0
    effect: Effect | None = None
    kind: tuple[Kind, ...] = ()
    direction: str = ""  # "determined", "undetermined", or empty where none was asked for
    direction_probability: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One model with its findings; ``digest`` is empty if it could not be read."""

    name: str
    source: str
    revision: str = ""
    digest: str = ""
    card: str = ""  # file beside the weights that declares, if there is one
    declared_parents: tuple[str, ...] = ()
    licence: str = ""
    n_compared: int = 0
    against: tuple[Against, ...] = ()
    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    ledger: Ledger | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(InOneLine):
    """What one call of `check` found. ``rules`` are the levels that were in force."""

    models: tuple[Checked, ...]
    rules: dict[str, str]
    policy: str = ""  # the file
    policy_digest: str = ""  # SHA-256 of the file
    registry: str = ""
    n_registered: int = 0
    alpha: float
    parameters: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    seconds: float = 0.0
    version: str = ""

    def __repr__(self) -> str:
        return f"<Check {self.outcome}: {len(self.findings)} findings in {len(self.models)} models>"

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
