"""A policy from its TOML file. Unknown keys and wrong types are refused in one line."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from weightkin.api.arguments import check_path
from weightkin.errors import UnreadableModel, UsageError
from weightkin.notebooks import InShort
from weightkin.policy.secret import FORM, Secret, read_secret
from weightkin.records.checking import ALWAYS, RULES, Level, Setting
from weightkin.records.licences import CLASSES, plain
from weightkin.sources.local import read_whole
from weightkin.text import quoted, shown

STRICTNESS = ("off", "warning", "error")
MAX_POLICY_BYTES = 1 << 20
MAX_NAMED_MODELS = 256  # models that a policy may name
LEAST_ALPHA = 1e-100  # below it shares of alpha are lost to the precision of numbers
BOM = b"\xef\xbb\xbf"
SETTINGS = get_args(Setting)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Policy(InShort):
    """What is asked of a model. Sources are those of the command line; ``#3`` is a registered one.

    ``stated`` are the rules whose level the file gives: none of them is left out silently, as the
    others are where no registry is at hand.
    """

    forbidden_ancestors: tuple[str, ...] = ()
    forbidden_families: tuple[str, ...] = ()
    expected_parents: tuple[str, ...] = ()
    commons: tuple[str, ...] = ()  # models whose weights everybody may share
    leave_out: tuple[str, ...] = ()  # patterns of files that are not looked at
    levels: Mapping[str, Setting] = field(default_factory=dict)
    stated: frozenset[str] = frozenset()
    calibrated: Setting = "warning"  # at most, for findings that no exact test supports
    aligned_only: Setting = "warning"  # at most, where units line up but are not alike
    undetermined_direction: Setting = "error"  # at most, where it is open who came first
    alpha: float = 1e-6
    secret: str = field(default="", repr=False)  # where the key is that draws samples
    licences: Mapping[str, str] = field(default_factory=dict)  # own names: class
    source: str = ""
    digest: str = ""

    @property
    def parameters(self) -> dict[str, Any]:
        """What the record of a check says of it, beside the levels of its rules."""
        return {
            "calibrated": self.calibrated,
            "aligned_only": self.aligned_only,
            "undetermined_direction": self.undetermined_direction,
            "licences": dict(self.licences),
            "forbidden_ancestors": list(self.forbidden_ancestors),
            "forbidden_families": list(self.forbidden_families),
            "expected_parents": list(self.expected_parents),
            "leave_out": list(self.leave_out),
            "commons": list(self.commons),
        }

    def level(self, rule: str) -> Setting:
        """That of a rule."""
        return self.levels.get(rule, RULES[rule])


def read_policy(path: str | Path) -> Policy:
    """Read a policy.

    Raises
    ------
    UsageError
        Missing, empty, no TOML, an unknown key, a wrong type or an unknown level or class.
    """
    path = check_path("policy", path)
    where = shown(path)
    try:
        raw = read_whole(path, MAX_POLICY_BYTES)
        if raw.startswith(BOM):
            raise UsageError(f"{where}: begins with a byte order mark; save it as plain UTF-8")
        data = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{where}: not valid TOML ({shown(error)})") from None
    except UnreadableModel as error:
        raise UsageError(f"{error}; give the file of a policy") from None
    return _policy(where, data, str(path), hashlib.sha256(raw).hexdigest())


def secret_of(policy: Policy) -> Secret | None:
    """The key that a policy names, None where it names none."""
    if not policy.secret:
        return None
    where = f"{shown(policy.source)}: evidence.secret" if policy.source else "secret"
    return read_secret(policy.secret, where)


def _policy(where: str, data: Mapping[str, Any], source: str, digest: str) -> Policy:
    known = ("forbidden", "expected", "commons", "files", "rules", "evidence", "licences")
    _check_keys(where, "", data, known)
    if not any(data.values()):
        tables = ", ".join(f"[{x}]" for x in known)
        raise UsageError(f"{where}: an empty policy; give at least one of {tables}")
    forbidden = _table(where, data, "forbidden", ("ancestors", "families"))
    expected = _table(where, data, "expected", ("parents",))
    commons = _table(where, data, "commons", ("models",))
    files = _table(where, data, "files", ("leave-out",))
    rules = _table(where, data, "rules", tuple(rule for rule in RULES if rule != ALWAYS))
    limits_of = ("calibrated", "aligned-only", "undetermined-direction")
    evidence = _table(where, data, "evidence", ("alpha", "secret", *limits_of))
    licences = _table(where, data, "licences", None)
    alpha = evidence.get("alpha", Policy().alpha)
    if not isinstance(alpha, float) or not LEAST_ALPHA <= alpha < 1:
        wanted = f"a number from {LEAST_ALPHA:g} to below 1"
        raise UsageError(f"{where}: evidence.alpha must be {wanted}, not {quoted(alpha)}")
    for name, kind in licences.items():
        if kind not in CLASSES:
            wanted = ", ".join(CLASSES)
            head = f"{where}: licences.{shown(name)}"
            raise UsageError(f"{head} must be one of {wanted}, not {quoted(kind)}")
    limits = {
        key.replace("-", "_"): _setting(where, f"evidence.{key}", evidence[key])
        for key in limits_of
        if key in evidence
    }
    return Policy(
        forbidden_ancestors=_names(where, "forbidden.ancestors", forbidden.get("ancestors", [])),
        forbidden_families=_names(where, "forbidden.families", forbidden.get("families", [])),
        expected_parents=_names(where, "expected.parents", expected.get("parents", [])),
        commons=_names(where, "commons.models", commons.get("models", [])),
        leave_out=_names(where, "files.leave-out", files.get("leave-out", []), "patterns of files"),
        levels={rule: _setting(where, f"rules.{rule}", x) for rule, x in rules.items()},
        stated=frozenset(rule for rule, x in rules.items() if x != "off"),
        alpha=alpha,
        secret=_secret(where, evidence),
        licences={plain(name): kind for name, kind in licences.items()},
        source=source,
        digest=digest,
        **limits,
    )


def _table(
    where: str, data: Mapping[str, Any], key: str, known: tuple[str, ...] | None
) -> Mapping[str, Any]:
    table = data.get(key, {})
    if not isinstance(table, dict):
        raise UsageError(f"{where}: {key} must be a table [{key}], not {quoted(table)}")
    if known is not None:
        _check_keys(where, f"{key}.", table, known)
    return table


def _check_keys(where: str, head: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            wanted = ", ".join(f"{head}{x}" for x in known)
            raise UsageError(f"{where}: unknown key {shown(head + key)}; known are {wanted}")


def _names(
    where: str, key: str, value: Any, kind: str = "sources or registry numbers"
) -> tuple[str, ...]:
    is_list = isinstance(value, list) and all(isinstance(x, str) and x.strip() for x in value)
    if not is_list or len(value) > MAX_NAMED_MODELS:
        wanted = f"a list of at most {MAX_NAMED_MODELS} {kind}"
        raise UsageError(f"{where}: {key} must be {wanted}, not {quoted(value)}")
    return tuple(dict.fromkeys(value))


def _secret(where: str, evidence: Mapping[str, Any]) -> str:
    """Where the key is. No error repeats what is written there: it may be the key, by mistake."""
    said = evidence.get("secret")
    if said is None:
        return ""
    if not isinstance(said, str) or not said.strip():
        raise UsageError(f"{where}: evidence.secret must be {FORM}")
    return said


def _setting(where: str, key: str, value: Any) -> Setting:
    if value not in SETTINGS:
        raise UsageError(f"{where}: {key} must be {' or '.join(SETTINGS)}, not {quoted(value)}")
    found: Setting = value
    return found


def lowest(*settings: str) -> Level | None:
    """The least strict of some settings; None where that is "off"."""
    found = min(settings, key=STRICTNESS.index)
    return None if found == "off" else "error" if found == "error" else "warning"
