"""The command `completion`: a script by which a shell completes commands and options.

The script is plain text made of the commands as they are: nothing is started when Tab is pressed.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from enum import Enum, StrEnum
from typing import Annotated, Any

import typer

from weightkin.cli.answers import Answer

PROGRAM = "weightkin"
BASH = """_{program}() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" words=""
    case "${{COMP_WORDS[1]}} $before" in
{values}
    *) case "${{COMP_WORDS[1]}}" in
{options}
       esac ;;
    esac
    [ "$COMP_CWORD" -eq 1 ] && words="{commands}"
    COMPREPLY=()
    if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$word")); fi
}}
complete -o default -F _{program} {program}
"""
ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


class Shell(StrEnum):
    """Shells that a script is made for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    context: typer.Context,
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
    *,
    answer: Answer,
) -> None:
    """Print a script for completion in a shell.

    bash and zsh: eval "$(weightkin completion bash)" in ~/.bashrc; fish: weightkin completion fish
    > ~/.config/fish/completions/weightkin.fish
    """
    group = context.find_root().command
    if shell is Shell.FISH:
        answer.text("\n".join(_fish(group)))
    else:
        answer.text((ZSH if shell is Shell.ZSH else "") + _bash(group).rstrip("\n"))


def _bash(group: Any) -> str:
    """Values after an option that has some, options after a dash, else names of files."""
    values, options = [], []
    for name, command in group.commands.items():
        for flags, choices in _options(command):
            if choices:
                cases = "|".join(f'"{name} {flag}"' for flag in flags)
                values.append(f'    {cases}) words="{" ".join(choices)}" ;;')
        flags = [flag for flags, _ in _options(command) for flag in flags]
        inner = f'words="{" ".join(_inner(command))}"; ' if _inner(command) else ""
        given = f'[[ $word == -* ]] && words="{" ".join(flags)}"'
        options.append(f"       {name}) {inner}{given} ;;")
    return BASH.format(
        program=PROGRAM,
        values="\n".join(values),
        options="\n".join(options),
        commands=" ".join(group.commands),
    )


def _fish(group: Any) -> Iterator[str]:
    for name, command in group.commands.items():
        said = shlex.quote(_first_line(command.help))
        yield f"complete -c {PROGRAM} -n __fish_use_subcommand -f -a {name} -d {said}"
        where = f"-c {PROGRAM} -n '__fish_seen_subcommand_from {name}'"
        for inner in _inner(command):
            yield f"complete {where} -f -a {inner}"
        for flags, choices in _options(command):
            named = " ".join(f"-l {x[2:]}" if x.startswith("--") else f"-s {x[1:]}" for x in flags)
            given = f" -x -a {shlex.quote(' '.join(choices))}" if choices else ""
            yield f"complete {where} {named}{given}"


def _options(command: Any) -> Iterator[tuple[list[str], list[str]]]:
    """The flags of each option of a command and of those in it, with the values it may have."""
    for inner in getattr(command, "commands", {}).values():
        yield from _options(inner)
    for parameter in command.params:
        if parameter.param_type_name == "option":
            yield list(parameter.opts), _choices(parameter)


def _choices(parameter: Any) -> list[str]:
    """The values of an option that has few: of two generations of typer."""
    hint = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return [str(x.value) for x in hint]
    kinds = getattr(getattr(parameter, "type", None), "choices", ())
    return [str(getattr(x, "value", x)) for x in kinds]


def _inner(command: Any) -> list[str]:
    """Commands of a group."""
    return list(getattr(command, "commands", {}))


def _first_line(text: str | None) -> str:
    return (text or "").strip().split("\n")[0]
