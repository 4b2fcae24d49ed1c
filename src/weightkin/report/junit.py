"""A check as JUnit XML, for systems that show results of tests: a case for each model and rule.

A case passes only where its rule was applied to a model of which everything could be verified.
Warnings are the output of a case that passes, as they change no exit code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree as ET

from weightkin.records.checking import NEED_REGISTRY, RULES, Check, Checked, Finding
from weightkin.report.advice import RULE_WORDS, advice
from weightkin.report.terminal import printable

NAMED_FOR = {  # rules about models that a policy or the command line names, and where it does
    "forbidden-ancestor": "forbidden_ancestors",
    "forbidden-family": "forbidden_families",
    "missing-parent": "expected_parents",
}
OF_LICENCES = ("looser-licence", "unknown-licence")
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
COUNTED = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}


def junit(record: Check) -> str:
    """A suite for each model with a case for each rule.

    Parameters
    ----------
    record : Check
        What was found.

    Returns
    -------
    str
        XML of the form that Jenkins, GitLab and others read. A finding of level ``error`` is a
        failure, or an error where something could not be verified; a rule that is off, or was not
        applied, is skipped.
    """
    root = ET.Element("testsuites", name="weightkin check", time=f"{record.seconds:.3f}")
    for model in record.models:
        suite = ET.SubElement(root, "testsuite", name=_text(model.name))
        suite.extend(_cases(record, model))
        _count(suite, tuple(COUNTED))
    _count(root, ("tests", "failures", "errors"))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _cases(record: Check, model: Checked) -> Iterator[ET.Element]:
    for rule in RULES:
        found = [x for x in model.findings if x.rule == rule]
        case = ET.Element("testcase", classname=_text(model.source), name=rule)
        errors = [x for x in found if x.level == "error"]
        if errors:
            is_open = any(x.state == "unverifiable" for x in errors)
            kind = "error" if is_open else "failure"
            said = RULE_WORDS[rule][0] if len(errors) > 1 else errors[0].sentence
            result = ET.SubElement(case, kind, type=rule, message=_text(said))
            result.text = _lines(errors)
        elif reason := "" if found else _not_applied(record, model, rule):
            ET.SubElement(case, "skipped", message=reason)
        if warnings := [x for x in found if x.level == "warning"]:
            ET.SubElement(case, "system-out").text = _lines(warnings)
        yield case


def _not_applied(record: Check, model: Checked, rule: str) -> str:
    """Why no finding of a rule does not mean that the model passed it; empty where it does."""
    if record.rules.get(rule) == "off":
        return "The policy turns this rule off."
    if rule in NAMED_FOR and not record.parameters.get(NAMED_FOR[rule]):
        return "No model is named for this rule."
    if rule in NEED_REGISTRY and not record.registry:
        return "No registry was given."
    if rule in OF_LICENCES and not (record.registry or record.policy):
        return "Licences are compared where a policy or a registry is given."
    if any(x.state == "unverifiable" for x in model.findings):
        return "Not decided: something of this model could not be verified."
    return ""


def _lines(found: Sequence[Finding]) -> str:
    """Sentences, then each advice once."""
    said = [f"{x.level}: {x.sentence}" for x in found]
    return "\n".join(_text(x) for x in dict.fromkeys([*said, *map(advice, found)]))


def _count(element: ET.Element, names: Sequence[str]) -> None:
    for name in names:
        element.set(name, str(sum(1 for _ in element.iter(COUNTED[name]))))


def _text(text: str) -> str:
    """Printable text of characters that XML can hold."""
    return NOT_XML.sub("\ufffd", printable(text))
