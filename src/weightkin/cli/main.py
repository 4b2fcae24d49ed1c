"""The command line: parses, calls one verb, prints its record, turns errors into exit codes."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Annotated

import typer

from weightkin._version import __version__
from weightkin.cli.answers import shared
from weightkin.cli.check import check
from weightkin.cli.compare import compare
from weightkin.cli.completion import completion
from weightkin.cli.controls import controls as controls_app
from weightkin.cli.locate import locate
from weightkin.cli.options import EXIT_INCOMPLETE
from weightkin.cli.records import render, verify
from weightkin.cli.registry import (
    add,
    descendants,
    export,
    import_models,
    list_models,
    remove,
    search,
    trace,
)
from weightkin.cli.serve import serve
from weightkin.cli.settings import default_map
from weightkin.cli.show import show
from weightkin.cli.sketch import sketch
from weightkin.cli.streams import guard_streams
from weightkin.cli.transfers import show_transfers
from weightkin.cli.tree import tree
from weightkin.errors import WeightkinError

# typer carries its own copy of click; this is the base of everything a command line can get wrong
CommandLineError: type[Exception] = next(
    c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException"
)
EXIT_USAGE = 4
INTERRUPTED = 130  # what typer makes of an interrupt

app = typer.Typer(
    help="Do two models share weights? Exact p-values, effect sizes, recomputable evidence.",
    epilog="Exit codes: 0 done, whatever the verdict; 1 the condition of"
    " --fail-if is met, verify found a difference, or a policy rule was broken; 2 the result is"
    " incomplete (something could not be read, a hub cannot be reached, or an internal error;"
    " outranks 1); 3 no result: a model that is needed cannot be read; 4 wrong command line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Entry point: an error of a command becomes one line and its exit code."""
    # matrices here are small: one thread is faster, and sums in the same order on every machine
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    out = guard_streams()
    if sys.stdout is None:
        _say("standard output is closed, so no result can be printed")
        sys.exit(EXIT_INCOMPLETE)
    show_transfers()
    code = _run()
    sys.stdout.flush()
    if out is not None and out.problem:
        _say(out.problem)
        code = EXIT_INCOMPLETE
    sys.exit(code)


def _run() -> int:
    """Run the command; an error is one line and its exit code."""
    warnings.simplefilter("ignore", RuntimeWarning)  # numbers of a hostile file that overflow
    try:
        code = app(standalone_mode=False, default_map=default_map(typer.main.get_command(app)))
        if code == INTERRUPTED:
            raise KeyboardInterrupt
    except CommandLineError as error:
        _say_usage(error)
        return EXIT_USAGE
    except WeightkinError as error:
        _say(str(error))
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        _say("stopped")
        return EXIT_INCOMPLETE
    except (Exception, SystemExit) as error:  # noqa: BLE001 (exit code 1 would be that of a hit)
        return _report_bug(error)
    return code if isinstance(code, int) else 0


def _say_usage(error: Exception) -> None:
    """One line for a wrong command line; the whole help where no command was named."""
    context = getattr(error, "ctx", None)
    if context is None or type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # type: ignore[attr-defined]
        return
    said = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    said = said.replace(": Value error, ", ": ")  # what a library of typer's puts before it
    end = "" if said.endswith((".", "?")) else "."
    _say(f"{said}{end} Try '{context.command_path} --help'.")


def _say(line: str) -> None:
    """One line on the error stream, whatever stands in it."""
    from weightkin.report.terminal import printable

    print(f"weightkin: {printable(line)}", file=sys.stderr)


def _report_bug(error: BaseException) -> int:
    """A bug keeps its traceback, and never has the exit code of a hit.

    Memory and nesting that run out are the input's doing: one line, with the place it happened.
    """
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"in {Path(last.filename).name}, line {last.lineno}"
    if isinstance(error, MemoryError):
        _say(f"out of memory {where}: {str(error) or 'an input needs more than is available'}")
    elif isinstance(error, RecursionError):
        _say(f"an input is nested too deeply to be read ({where})")
    else:
        traceback.print_exception(error)
        _say(f"this is a bug in weightkin {__version__} ({type(error).__name__} {where})")
    return EXIT_INCOMPLETE


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Read model weights and say, with evidence, how models are related."""
    if version:
        print(f"weightkin {__version__}")
        raise typer.Exit


for command in (
    show,
    compare,
    verify,
    locate,
    check,
    sketch,
    tree,
    add,
    search,
    trace,
    descendants,
):
    app.command()(shared(command))
app.command(name="list")(shared(list_models))
app.command()(shared(remove))
app.command()(shared(export))
app.command(name="import")(shared(import_models))
app.command()(shared(render))
app.command()(serve)
app.command()(shared(completion))
app.add_typer(controls_app, name="controls")
