"""Writes docs/cli.md from the command line itself: ``python docs/cli_page.py``."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

from typer.main import get_command

from weightkin.cli.main import app

WORDS = {int: "N", float: "NUMBER", Path: "FILE"}
PAGE = Path(__file__).with_name("cli.md")
# ruff: noqa: E501 (tables of the page)
OPENING = """# Commands

Written by `docs/cli_page.py` from the commands themselves.

A SOURCE is a local path first (a folder, `.safetensors`, an index, `.bin`, `.pt`, `.gguf`, `.onnx`,
a sketch), then `org/name`, `org/name@revision`, `hf://…` or `org/name:file.gguf` on a hub, or
`base+adapter`: see [formats](formats.md).

| exit code | meaning |
|---|---|
| 0 | done, whatever the verdict |
| 1 | a hit: `--fail-if`, `verify`, or a policy |
| 2 | the result is incomplete: something could not be read, a hub cannot be reached, or an internal error; outranks 1 |
| 3 | no result: a model that the command needs cannot be read |
| 4 | wrong command line |

Results go to standard output, progress and logs to standard error. `--output FILE` writes the result to a new
file instead of standard output; `-q` prints only the answer, `-v` all details. On a terminal text has colours
(`--color`, `NO_COLOR`) and is wrapped to its width (or to `COLUMNS`); elsewhere it is plain. `render` converts a result
that was saved with `--json`. `WEIGHTKIN_REGISTRY` is the default of every `--registry`. A reader that ends early
(`| head`) does not change the exit code; if the output cannot be written it is 2.

Defaults of options can be set in `~/.config/weightkin/config.toml` (`$XDG_CONFIG_HOME` moves it, `WEIGHTKIN_CONFIG`
names another file), for every command that has the option, or for one. The command line and the environment come first:

```toml
registry = "/data/models.sqlite"
workers = 4

[check]
policy = "/data/policy.toml"
```
"""


def page() -> str:
    """The whole page, as it must be."""
    lines = [OPENING]
    for name, command in _commands(get_command(app)):
        usage = " ".join(["weightkin", name, *(_in_usage(p) for p in _arguments(command))])
        lines += [f"## {name}", "", command.help.strip(), "", f"```\n{usage}\n```", ""]
        rows = [
            f"| {_flag(p)} | {_clean(p.help or '')}{_default(p)} |"
            for p in command.params
            if p.name != "help"
        ]
        if rows:
            lines += ["| | |", "|---|---|", *rows, ""]
    return "\n".join(lines).rstrip() + "\n"


def _commands(group: Any, before: str = "") -> list[tuple[str, Any]]:
    found = []
    for name, command in group.commands.items():
        whole = f"{before}{name}"
        found += _commands(command, f"{whole} ") if _is_group(command) else [(whole, command)]
    return found


def _is_group(command: Any) -> bool:
    return hasattr(command, "commands")


def _arguments(command: Any) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "argument"]


def _in_usage(argument: Any) -> str:
    word = (argument.metavar or argument.name).strip("[]").upper().removesuffix("...")
    word += "..." if argument.nargs == -1 else ""
    return word if argument.required else f"[{word}]"


def _flag(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_in_usage(parameter)}`"
    return f"`{', '.join(parameter.opts)}{_value(parameter)}`"


def _value(option: Any) -> str:
    kind = option.type_descriptor.annotation
    if option.is_flag:
        return ""
    if option.metavar:
        return f" {option.metavar}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f" {' or '.join(str(x.value) for x in kind)}"
    return f" {WORDS.get(kind, 'TEXT')}"


def _default(parameter: Any) -> str:
    value = parameter.default
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    return f" Default {getattr(value, 'value', value)}."


def _clean(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
