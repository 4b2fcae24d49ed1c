"""A check as SARIF 2.1.0, for the places that show results of code scanning.

Texts from outside are made printable, and brackets escaped: in a SARIF message they make links.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote

from weightkin.formats.declared import folder_of
from weightkin.formats.finder import has_standard_name
from weightkin.formats.table import format_of
from weightkin.records.checking import RULES, Check, Checked, Finding
from weightkin.report.advice import RULE_WORDS, advice
from weightkin.report.terminal import printable

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
FINGERPRINT = "weightkin/v1"
DECLARING = (  # rules about what stands in a model card
    "undeclared-parent", "contradicted-parent", "unverified-parent", "looser-licence",
    "unknown-licence", "unknown-origin",
)  # fmt: skip
RULE_INDEX = {rule: i for i, rule in enumerate(RULES)}


def sarif(record: Check, base: Path | None = None) -> str:
    """One run with a result for each finding, warnings among them.

    Parameters
    ----------
    record : Check
        What was found.
    base : Path, optional
        Folder that locations below it are written relative to, as code scanning wants them.
    """
    run = {
        "tool": {
            "driver": {
                "name": "weightkin",
                "version": record.version,
                "semanticVersion": record.version,
                "rules": [_rule(rule) for rule in RULES],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": record.outcome != "incomplete",
                "toolExecutionNotifications": [
                    {
                        "level": "error",
                        "message": {"text": _text(f"{model.name}: {finding.sentence}")},
                        "associatedRule": {"id": finding.rule, "index": RULE_INDEX[finding.rule]},
                    }
                    for model in record.models
                    for finding in model.findings
                    if finding.state == "unverifiable"
                ],
            }
        ],
        "results": [
            _result(model, finding, base) for model in record.models for finding in model.findings
        ],
        "properties": {"alpha": record.alpha, "seed": record.seed, "outcome": record.outcome},
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2,
                      allow_nan=False)  # fmt: skip


def _rule(rule: str) -> dict[str, Any]:
    level, (title, text) = RULES[rule], RULE_WORDS[rule]
    name = "".join(word.capitalize() for word in rule.split("-"))
    return {
        "id": rule,
        "name": name,
        "shortDescription": {"text": title},
        "fullDescription": {"text": f"{title} {text}"},
        "help": {"text": text},
        "defaultConfiguration": {
            "level": "none" if level == "off" else level,
            "enabled": level != "off",
        },
        "properties": {"tags": ["supply-chain", "provenance"]},
    }


def _result(model: Checked, finding: Finding, base: Path | None) -> dict[str, Any]:
    ancestor, found = finding.ancestor, finding.summary
    values: dict[str, Any] = {
        "model": model.digest,
        "state": finding.state,
        "reason": finding.code,
        "advice": advice(finding),
    }
    if found is not None:
        values |= {
            "verdict": found.verdict,
            "basis": found.basis,
            "log10Pvalue": found.log10_pvalue,
            "kind": list(found.kind),
            "direction": "undetermined" if found.parent == "undetermined" else "determined",
            "directionProbability": found.probability,
        }
    if ancestor is not None:
        values["ancestor"] = {
            "name": printable(ancestor.name),
            "source": printable(ancestor.source),
            "digest": ancestor.digest,
        }
    if found is not None and found.effect is not None:
        values["effect"] = {"observed": found.effect.observed, "chance": found.effect.chance}
    result = {
        "ruleId": finding.rule,
        "ruleIndex": RULE_INDEX[finding.rule],
        "level": finding.level,
        "kind": "fail",
        "message": {"text": _text(f"{model.name}: {finding.sentence}. {advice(finding)}")},
        "locations": [_location(model, base)],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "properties": values,
    }
    if finding.rule in DECLARING and model.card:
        place = {"artifactLocation": {"uri": _uri(model.card, base)}}
        said = {"text": "What the model declares."}
        result["relatedLocations"] = [{"physicalLocation": place, "message": said}]
    return result


def _location(model: Checked, base: Path | None) -> dict[str, Any]:
    """The file of weights, or the source as it was given; and the model as a logical place."""
    where = "" if model.revision else _file(model.source, base)
    logical = {
        "name": printable(model.name),
        "fullyQualifiedName": printable(model.digest or model.source),
        "kind": "resource",
    }
    location: dict[str, Any] = {"logicalLocations": [logical]}
    if where:
        location["physicalLocation"] = {"artifactLocation": {"uri": _uri(where, base)}}
    return location


def _file(source: str, base: Path | None) -> str:
    """A file for a model that is a folder: code scanning shows no results of folders."""
    where = Path(source) if base is None else base / source
    try:
        folder = folder_of(where)
        if where.is_file() or not folder.is_dir():
            return source
        found = [x for x in folder.iterdir() if format_of(x.name) and x.is_file()]
        inside = sorted(found, key=lambda x: (not has_standard_name(x.name), x.name))
    except (OSError, ValueError):
        return source
    return str(inside[0]) if inside else source


def _uri(path: str, base: Path | None) -> str:
    """A path below the base as a relative reference, any other as one to a file."""
    whole = PurePath(path)
    if base is not None and whole.is_absolute() and whole.is_relative_to(base):
        whole = whole.relative_to(base)
    text = quote(whole.as_posix(), errors="surrogateescape")
    return f"file://{text}" if whole.is_absolute() else text


def _text(text: str) -> str:
    """Plain text of a message: no control characters, and no brackets that would make a link."""
    plain = printable(text).replace("\\", "\\\\")
    return plain.replace("[", "\\[").replace("]", "\\]")
