"""The settings file: defaults of options, for all commands or for one.

``$XDG_CONFIG_HOME/weightkin/config.toml`` (or that under ``~/.config``), or the file that
``WEIGHTKIN_CONFIG`` names. What is given on the command line or in the environment comes first.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from weightkin.errors import UsageError

VARIABLE = "WEIGHTKIN_CONFIG"
MOST_BYTES = 1 << 20


def settings_file() -> Path:
    """Where the settings are, whether there are any or not."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME", "")
    root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".config"
    return root / "weightkin" / "config.toml"


def default_map(group: Any) -> dict[str, Any]:
    """The settings as the command line reads them: by command, then by parameter.

    Parameters
    ----------
    group : Command
        All commands.

    Returns
    -------
    dict
        Empty where there is no file.

    Raises
    ------
    UsageError
        The file cannot be read, or names no option.
    """
    path = settings_file()
    if VARIABLE not in os.environ and not os.path.isfile(path):  # False where it may not be seen
        return {}
    given = _read(path)
    tables = {k: v for k, v in given.items() if isinstance(v, Mapping)}
    for_all = {k: v for k, v in given.items() if k not in tables}
    unused = set(for_all)
    found = {}
    for name, command in group.commands.items():
        own = tables.pop(name, {})
        flags = dict(_flags(command))
        unused -= flags.keys()
        if unknown := [key for key in own if key not in flags]:
            raise UsageError(f"{path}: [{name}] {unknown[0]}: `{name}` has no option of this name")
        both = {**{k: v for k, v in for_all.items() if k in flags}, **own}
        found[name] = {flags[key]: value for key, value in both.items()}
    if left := [*unused, *tables]:
        raise UsageError(f"{path}: {left[0]}: no option or command has this name")
    return found


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    from weightkin.sources.local import read_whole

    try:
        return tomllib.loads(read_whole(path, MOST_BYTES).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a TOML file ({error})") from None


def _flags(command: Any) -> Iterator[tuple[str, str]]:
    """Each long flag of a command without its dashes, and the parameter behind it."""
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            yield from ((x[2:], parameter.name) for x in parameter.opts if x.startswith("--"))
