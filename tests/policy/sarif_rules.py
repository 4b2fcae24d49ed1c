"""What SARIF 2.1.0 and code scanning ask of a log with one run, by hand."""

from __future__ import annotations

import re
from urllib.parse import unquote

LEVELS = {"none", "note", "warning", "error"}
# what sections 3.13 to 3.52 of the standard name as properties of the objects we write
KNOWN = {
    "log": {"$schema", "version", "runs"},
    "run": {"tool", "columnKind", "invocations", "results", "properties"},
    "driver": {"name", "version", "semanticVersion", "rules"},
    "rule": {"id", "name", "shortDescription", "fullDescription", "help", "defaultConfiguration",
             "properties"},
    "result": {"ruleId", "ruleIndex", "level", "kind", "message", "locations",
               "relatedLocations", "partialFingerprints", "properties"},
    "location": {"logicalLocations", "physicalLocation", "message"},
    "logical": {"name", "fullyQualifiedName", "kind"},
    "invocation": {"executionSuccessful", "toolExecutionNotifications"},
    "notification": {"level", "message", "associatedRule"},
}  # fmt: skip


def check_sarif(log):
    """Assert that a log is one; return its results."""
    only("log", log)
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    only("run", run)
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    driver = run["tool"]["driver"]
    only("driver", driver)
    assert driver["name"]
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", driver["semanticVersion"])
    rules = driver["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        only("rule", rule)
        for key in ("shortDescription", "fullDescription", "help"):
            message(rule[key])
        assert rule["defaultConfiguration"]["level"] in LEVELS
    (invocation,) = run["invocations"]
    only("invocation", invocation)
    assert isinstance(invocation["executionSuccessful"], bool)
    for found in invocation["toolExecutionNotifications"]:
        only("notification", found)
        message(found["message"])
        assert rules[found["associatedRule"]["index"]]["id"] == found["associatedRule"]["id"]
    for result in run["results"]:
        only("result", result)
        message(result["message"])
        assert result["level"] in LEVELS
        assert result["kind"] == "fail"
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert all(isinstance(x, str) and x for x in result["partialFingerprints"].values())
        (location,) = result["locations"]
        only("location", location)
        for logical in location["logicalLocations"]:
            only("logical", logical)
        uri = location.get("physicalLocation", {"artifactLocation": {"uri": "a"}})
        assert re.fullmatch(r"[!-~]+", uri["artifactLocation"]["uri"])
        assert unquote(uri["artifactLocation"]["uri"])
        for related in result.get("relatedLocations", ()):
            only("location", related)
            message(related["message"])
            assert re.fullmatch(r"[!-~]+", related["physicalLocation"]["artifactLocation"]["uri"])
    return run["results"]


def only(name, found):
    assert set(found) <= KNOWN[name], set(found) - KNOWN[name]


def message(found):
    """Plain text: no control characters, no link (an unescaped bracket starts one)."""
    text = found["text"]
    assert text.isprintable()
    assert not re.search(r"(?<!\\)(?:\\\\)*\[", text), text
