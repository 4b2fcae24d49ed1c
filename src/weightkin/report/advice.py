"""What the rules of a policy are called where they are broken, and what to do about findings."""

from __future__ import annotations

from collections.abc import Mapping

from weightkin.records.checking import Finding

MISSING_REGISTRY = ("no-registry", "registry-damaged")  # what is missing is the registry itself
NO_REGISTRY = (
    "Name a registry with --registry FILE, or make one: `weightkin add` the models that the check "
    "is about. Nothing is concluded from what could not be tested."
)
RULE_WORDS: Mapping[str, tuple[str, str]] = {  # what a hit is called, and what to do
    "forbidden-ancestor": (
        "The model is related to a forbidden model.",
        "Related is what its evidence shows: weights or an initialisation in common by an exact "
        "test or equal values, or calibrated evidence, which is weaker. A common ancestor counts "
        "too. Train from another base, or stop forbidding that model (policy file, --deny).",
    ),
    "forbidden-family": (
        "The model has a relative in the family of a forbidden model.",
        "A family consists of all registered models that are related to the one named. Train "
        "from another base, or remove the family from the list.",
    ),
    "missing-parent": (
        "No weights shared with the expected parent were found, or it was derived from the model.",
        "Check which weights were published, and which parent was meant.",
    ),
    "undeclared-parent": (
        "A model that is the parent, or may be it, is not declared.",
        "Name the parent as base_model in the front matter of README.md: "
        "`weightkin trace MODEL --format model-card` prints the lines.",
    ),
    "contradicted-parent": (
        "No weights shared with a declared parent were found, or it was derived from the model.",
        "Correct base_model in the model card, or check which weights were published.",
    ),
    "unverified-parent": (
        "A declared parent could not be compared with the weights.",
        "Register the declared parent with `weightkin add`, or name it with --expect-parent.",
    ),
    "looser-licence": (
        "The declared licence permits more than that of an ancestor.",
        "The two declared licences are in different classes of the policy's table. Whether the "
        "combination is allowed is for a person to decide.",
    ),
    "unknown-licence": (
        "A licence of the model or its ancestors is not declared, or not known.",
        "Declare a licence in the front matter of README.md, or give its class under licences "
        "in the policy.",
    ),
    "unknown-origin": (
        "The model has no registered relative and declares no parent.",
        "Declare the parent in the model card, or register the models it may come from. A model "
        "that was trained from scratch has none: the level of unknown-origin in the policy decides "
        "whether it passes.",
    ),
    "unverifiable": (
        "A model, or something that the policy names, could not be read or tested.",
        "Make it readable, or its name unambiguous, and run the check again. Nothing is concluded "
        "from what could not be tested.",
    ),
}
OPEN_PARENT = (
    "It is not certain which of the two came first. If the model was made from the other one, "
    "name that as base_model in README.md; if the other one was made from it, register it with "
    "`weightkin add`; if it was made from a third model, name and register that. Where none of "
    "this is known, nothing needs to be declared: undetermined-direction in the policy sets the "
    "level of this finding."
)
HIDDEN_PARENT = (
    "The model and its relatives probably come from a model that is not registered. If that is "
    "known, name it as base_model in README.md and register it with `weightkin add`. If it is not, "
    "nothing can be declared: the level of undeclared-parent in the policy decides whether the "
    "model passes."
)
ALIGNED = (
    "The units of the two models stand in one order. One random start in common shows that too, "
    "and anybody can arrange it: this alone does not show that weights are shared. Find out how "
    "the model was made."
)
NO_TEST = (
    "No test applies to these models, so shared weights cannot be excluded. Do not check them "
    "against each other, or accept exit code 2."
)
NOT_EXCLUDED = (
    "Too much of the model is outside the tests to exclude shared weights; the reason is above."
)
ADVICE = {  # for findings where that of their rule does not fit
    "named-not-testable": NO_TEST,
    "family-not-testable": NO_TEST,
    "search-not-testable": NO_TEST,
    "named-tested-little": NOT_EXCLUDED,
    "hidden-together": NOT_EXCLUDED,
    "hidden-anywhere": NOT_EXCLUDED,
    "hidden-parent": HIDDEN_PARENT,
    "sketch-only": "Check the model itself, not a sketch of it.",
}


def advice(finding: Finding) -> str:
    """What to do about a finding."""
    reason = finding.data.get("reason")
    is_absent = isinstance(reason, dict) and reason.get("code") == "not-registered"
    is_missing = is_absent or finding.code in MISSING_REGISTRY
    if is_missing:
        return NO_REGISTRY
    if is_open_parent(finding):
        return OPEN_PARENT
    x = finding.summary
    if x is not None and x.verdict == "aligned-only" and finding.rule.startswith("forbidden"):
        return ALIGNED
    return ADVICE.get(finding.code, RULE_WORDS[finding.rule][1])


def is_open_parent(finding: Finding) -> bool:
    """Whether a finding is about a possible parent of which nobody knows that it is one."""
    x = finding.summary
    is_open = finding.code == "not-declared" and x is not None and x.parent != "a"
    return is_open or finding.code in ("perhaps-child", "perhaps-other-child")
