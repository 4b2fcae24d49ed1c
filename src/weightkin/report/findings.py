"""Words for findings of a policy, and for notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightkin.records import Note
from weightkin.records.checking import Ancestor, Finding
from weightkin.records.comparison import Summary
from weightkin.records.form import probability_words, pvalue_words
from weightkin.report.clues import DECLARED_WORDS
from weightkin.report.reasons import REASON_WORDS, Words, in_words
from weightkin.text import counted, percent, shown


def finding_line(finding: Finding) -> str:
    """Why a rule was hit, as one line."""
    return in_words(FINDING_WORDS, finding.code, {**finding.data, **_known(finding)})


def note_line(found: Note) -> str:
    """What else a registry knows of a model, as one line."""
    return in_words(NOTE_WORDS, found.code, found.data)


def _known(finding: Finding) -> dict[str, str]:
    """What every template may use: the other model, and what was found about it."""
    other, x = finding.ancestor, finding.summary
    if other is None:
        return {}
    said = {"other": called(other)}
    if x is not None:
        said |= {
            "found": x.sentence,
            "evidence": f"{said['other']}: {evidence_words(x)}",
            "direction": direction_words(x),
            "sure": f"probability {probability_words(x.probability)}",
        }
    return said


def called(other: Ancestor) -> str:
    """Name a model, with its number in the registry."""
    number = f" (#{other.id})" if other.id else ""
    return f"{shown(other.name)}{number}"


def evidence_words(x: Summary) -> str:
    """What is shared as far as the basis shows it, with effect, kind, parts and direction."""
    said = x.sentence
    if x.verdict == "dependent" and x.basis in RELATED and not x.is_same:
        said = RELATED[x.basis].format(pvalue_words(x.log10_pvalue), x.sentence)
    if x.effect is not None:
        said += f", cosine of matched units {x.effect.observed:.2f}"
        said += f" (best wrong match {x.effect.chance:.2f})"
    if x.kind and not x.is_same:
        said += f", {' and '.join(x.kind)}"
    if x.parts:
        said += f", only in {' and '.join(x.parts)}"
    return f"{said}{direction_words(x)}"


def direction_words(x: Summary) -> str:
    """Which of the two came first, as far as that is known."""
    sure = f"probability {probability_words(x.probability)}"
    if x.parent == "undetermined":
        return "; direction undetermined" if x.verdict == "dependent" else ""
    if x.parent == "b":
        return f"; the other model was derived from this one ({sure})"
    return f"; the other model came first ({sure})"


def _reason(data: Mapping[str, Any]) -> str:
    reason = data["reason"]
    return in_words(REASON_WORDS, str(reason["code"]), reason)


def _declared(data: Mapping[str, Any]) -> str:
    """What is known of a declared parent, and what a comparison found about it."""
    state = data["declared"]
    parts = (in_words(DECLARED_WORDS, str(state["code"]), state), data.get("found", ""))
    return f"declares {shown(data['name'])}: {'; '.join(x for x in parts if x)}"


def _together(x: Mapping[str, Any]) -> str:
    where = counted(x["n_models"], "model")
    where += f" and {x['n_beside']:,} bytes of a trainer's files" if x["n_beside"] else ""
    return (
        f"{shown(x['name'])}: {x['n_bytes']:,} bytes of {where} could not be tested; together that "
        "is enough to contain it at four bits per parameter"
    )


def _bytes_unread(data: Mapping[str, Any]) -> str:
    """Files that hold more than what was read of them."""
    files = [f"{n:,} bytes of {shown(name)}" for name, n in data["files"].items()]
    more = f" and {counted(data['n_more'], 'more file')}" if data["n_more"] else ""
    reason = in_words(REASON_WORDS, str(data["reason"]["code"]), data["reason"])
    return f"not read: {', '.join(files)}{more} ({reason})"


def _unread(x: Mapping[str, Any]) -> str:
    named = "; ".join(f"{what}: {why}" for what, why in x["tensors"].items())
    more = f"; and {x['n_more']} more" if x["n_more"] else ""
    return f"not all of the model could be read: {named}{more}"


def _untested(x: Mapping[str, Any]) -> str:
    why = _reason(x) if x["reason"] else "nothing the models have in common"
    return f"not testable: {why} (none of {counted(x['n'], 'other model')} has the same values)"


RELATED: Mapping[str, str] = {  # what a verdict on this basis comes to: no more than it shows
    "exact": "shares weights or a random start ({0}, exact)",
    "exact-unconfirmed": "units agree, which shared weights would explain, but so would a model "
    "that was made to match ({0}, unconfirmed)",
    "calibrated": "probably related: calibrated evidence alone, no exact test ({1})",
}
FINDING_WORDS: Mapping[str, Words] = {
    "text": "{text}",
    "forbidden": "forbidden {evidence}",
    "commons": "forbidden {other}: nothing is shared but what the policy lists under commons",
    "forbidden-itself": "forbidden {other}: the model itself: {found}",
    "forbidden-above": lambda x: (
        f"forbidden {x['other']}: an ancestor, by way of {' -> '.join(map(shown, x['through']))} "
        f"(probability of all steps {probability_words(x['probability'])})"
    ),
    "forbidden-perhaps": lambda x: (
        f"forbidden {x['other']}: related, by way of {shown(x['relative'])}; direction undetermined"
    ),
    "in-forbidden-family": lambda x: (
        f"of the forbidden family of {shown(x['family'])}, {x['evidence']}"
    ),
    "expected-not-shown": "expected parent {other}: {found}",
    "expected-is-child": "expected parent {other} was derived from this model ({sure}); {found}",
    "expected-calibrated": "expected parent {other}: only calibrated evidence; {found}",
    "not-declared": "not declared: {evidence}",
    "copy-not-declared": "not declared, but has the same values: {evidence}",
    "hidden-parent": "no parent is declared; {evidence}; the two probably have a common ancestor "
    "that is not registered",
    "perhaps-child": "no parent is declared; possibly derived from {evidence}",
    "perhaps-other-child": (
        "no declared parent is among its relatives; possibly derived from {evidence}"
    ),
    "contradicted": _declared,
    "other-relation": lambda x: (
        f"declares the relation {shown(x['relation'])} to {shown(x['name'])}, "
        f"but the weights show: {shown(', '.join(x['kinds']))}"
    ),
    "unverified": _declared,
    "unverified-no-registry": lambda x: f"declares {shown(x['name'])}, but no registry was given",
    "named-unknown": lambda x: f"{shown(x['name'])}: {_reason(x)}",
    "named-unread": "{error}",
    "named-not-testable": lambda x: f"{shown(x['name'])}: {x['found']}",
    "named-tested-little": lambda x: f"{shown(x['name'])}: {x['found']}, but {_reason(x)}",
    "family-not-testable": lambda x: (
        f"{shown(x['family'])}: {x['n']} of its family: {x['other']}: {x['found']}"
    ),
    "search-not-testable": _untested,
    "registered-left-out": lambda x: f"registered model {x['other']}: {_reason(x)}",
    "licence-missing": lambda x: (
        f"no licence is declared, but the model has {counted(x['n_ancestors'], 'known ancestor')}"
    ),
    "licence-unknown": lambda x: (
        f"the licence {shown(x['licence'])} is not in the table, and the model has "
        f"{counted(x['n_ancestors'], 'known ancestor')}"
    ),
    "licence-missing-related": lambda x: (
        "no licence is declared, but the model has "
        f"{counted(x['n_relatives'], 'relative')} of undetermined direction"
    ),
    "licence-unknown-related": lambda x: (
        f"the licence {shown(x['licence'])} is not in the table, and the model has "
        f"{counted(x['n_relatives'], 'relative')} of undetermined direction"
    ),
    "relative-licence-missing": "relative {other} declares no licence; {found}{direction}",
    "relative-licence-unknown": lambda x: (
        f"relative {x['other']} declares {shown(x['licence'])}, not in the table; {x['found']}"
        f"{x['direction']}"
    ),
    "licence-looser-related": lambda x: (
        f"declares {shown(x['licence'])} ({x['licence_class']}), but {x['other']}, a relative, "
        f"declares {shown(x['ancestor_licence'])} ({x['ancestor_class']}); {x['found']}"
        f"{x['direction']}"
    ),
    "ancestor-licence-missing": "ancestor {other} declares no licence; {found}",
    "ancestor-licence-unknown": lambda x: (
        f"ancestor {x['other']} declares {shown(x['licence'])}, not in the table; {x['found']}"
    ),
    "licence-looser": lambda x: (
        f"declares {shown(x['licence'])} ({x['licence_class']}), but its ancestor {x['other']}"
        f" declares {shown(x['ancestor_licence'])} ({x['ancestor_class']}); {x['found']}"
        f"{x['direction']}"
    ),
    "no-relatives": lambda x: (
        "no evidence of shared weights with "
        f"{counted(x['n'], 'registered model')}, and no parent is declared"
    ),
    "declaration-unread": "what the model declares could not be read: {error}",
    "model-unread": _unread,
    "bytes-unread": _bytes_unread,
    "sketch-only": "a sketch, which contains only a sample of a model",
    "source-unread": "{error}",
    "no-registry": lambda x: f"no registry was given, but the policy has {', '.join(x['rules'])}",
    "registry-damaged": "{error}",
    "hidden-together": _together,
    "hidden-anywhere": "{n_bytes:,} of {n_all:,} bytes could not be tested and may contain a "
    "registered model",
}
NOTE_WORDS: Mapping[str, Words] = {
    "text": "{text}",
    "digest-claimed": "its digest is claimed by its sketch, not computed here",
    "not-testable": lambda x: (
        f"not testable: tests reach {percent(x['share'])} of its parameters, so only equal values "
        "are found"
    ),
    "same-contents": "identical to {name} (#{id}) on the sample",
    "other-contents": "other contents at the same source: #{id}, {digest:.20}…, {added}",
}
