"""The command line: parses, calls one verb, prints its record, turns errors into exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weightkin._version import __version__
from weightkin.cli.check import check
from weightkin.cli.controls import controls as controls_app
from weightkin.cli.hand_over import AsForm, check_form, print_form
from weightkin.cli.html import ToHtml, check_page, page_beside
from weightkin.cli.locate import locate
from weightkin.cli.options import OnlyEstimate, print_estimate
from weightkin.cli.registry import add, export, import_models, list_models, remove, search, trace
from weightkin.cli.serve import serve
from weightkin.cli.sketch import sketch
from weightkin.cli.streams import guard_streams
from weightkin.cli.transfers import show_transfers
from weightkin.cli.tree import tree
from weightkin.cli.verify import verify
from weightkin.errors import UsageError, WeightkinError

if TYPE_CHECKING:
    from weightkin.records import Comparison

# typer carries its own copy of click; this is the base of everything a command line can get wrong
CommandLineError: type[Exception] = next(
    c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException"
)
EXIT_DIFFERS, EXIT_INCOMPLETE, EXIT_USAGE = 1, 2, 4
INTERRUPTED = 130  # what typer makes of an interrupt

app = typer.Typer(
    help="Do two models share weights? Exact p-values, effect sizes, recomputable evidence.",
    epilog="Exit codes: 0 done, whatever the verdict; 1 --fail-if, verify or policy hit; 2 not all"
    " could be read, or a bug of ours; 3 no source could be read; 4 wrong command line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print exactly the record.")]


class FailIf(StrEnum):
    """Verdicts that can make `compare` exit with 1."""

    DEPENDENT = "dependent"


class EffortChoice(StrEnum):
    """How much `compare` looks at."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"


def main() -> None:
    """Entry point. The only place where a `WeightkinError` is caught."""
    # matrices here are small: one thread is faster, and sums in the same order on every machine
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    out = guard_streams()
    if sys.stdout is None:
        _say("standard output is closed: nowhere to print a result")
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
    try:
        code = app(standalone_mode=False)
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
    except Exception as error:  # noqa: BLE001 (typer would make exit code 1 of it, that of a hit)
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


def _report_bug(error: Exception) -> int:
    """A bug keeps its traceback, and never has the exit code of a hit.

    Memory and nesting that run out are the input's doing: one line, with the place it happened.
    """
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"in {Path(last.filename).name}, line {last.lineno}"
    if isinstance(error, MemoryError):
        _say(f"out of memory {where}: {str(error) or 'an input needs more than there is'}")
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


@app.command()
def show(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A model folder, file or org/name on a hub.")
    ],
    as_json: AsJson = False,
    estimate: OnlyEstimate = False,
) -> None:
    """Print what is in a model: family, blocks, unit axes, dtypes, digest."""
    from weightkin.anatomy import read_anatomy
    from weightkin.formats import digest
    from weightkin.report.model import model_lines, model_record
    from weightkin.sketch.source import open_model

    if estimate:
        from weightkin.api.estimate import estimate as run

        print_estimate(run(source), as_json=as_json)
        return
    model = open_model(source)
    anatomy = read_anatomy(model)
    if as_json:
        print(model_record(model, anatomy, digest(model)).to_json())
    else:
        print("\n".join(model_lines(model, anatomy, digest(model))))
    if model.is_partial:
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command()
def compare(
    a: Annotated[
        str, typer.Argument(metavar="A", help="A model folder, file or org/name on a hub.")
    ],
    b: Annotated[
        str, typer.Argument(metavar="B", help="A model folder, file or org/name on a hub.")
    ],
    as_json: AsJson = False,
    html: ToHtml = None,
    estimate: OnlyEstimate = False,
    alpha: Annotated[float, typer.Option(help="Level of the verdict.")] = 1e-6,
    fail_if: Annotated[FailIf | None, typer.Option(help="Exit with 1 on this verdict.")] = None,
    effort: Annotated[
        EffortChoice,
        typer.Option(
            help="quick: hidden units only, stops at the first proof. thorough: every test, also"
            " those that run the models (with [torch])."
        ),
    ] = EffortChoice.STANDARD,
    published: Annotated[
        int, typer.Option(metavar="T", help="Also the first paper's tests, T relabellings.")
    ] = 0,
    full_digest: Annotated[
        bool, typer.Option("--full-digest", help="Also digest every byte of both.")
    ] = False,
    recover: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the maps that undo an evasion.")
    ] = None,
    controls: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Controls to use instead of your own.")
    ] = None,
    relatives: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="MODEL", help="Judge the direction among these; repeat."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Breaks ties; recorded.")] = 0,
    form: AsForm = None,
) -> None:
    """Test whether two models share weights: a verdict with its p-value, effect and null."""
    from weightkin.api.compare import Options
    from weightkin.api.compare import compare as run
    from weightkin.evidence.controls import load_controls
    from weightkin.formats.write_guard import refuse_inside

    check_form(form, as_json, estimate)
    if recover is not None:
        refuse_inside(recover, (a, b))
        if not recover.parent.is_dir():
            raise UsageError(f"{recover}: its folder does not exist")
    if controls is not None:
        load_controls(controls)  # a bad file is said before anything is read
    check_page(html, (a, b))
    if estimate:
        from weightkin.api.estimate import estimate as estimated

        print_estimate(estimated(a, b), as_json=as_json)
        return
    options = Options(
        relatives=relatives or (),
        published=published,
        full_digest=full_digest,
        recover=recover,
        controls=controls,
    )
    record = run(a, b, effort=effort.value, alpha=alpha, seed=seed, options=options)
    with page_beside(html, record):
        if form is not None:
            from weightkin.report.parentage import of_comparison

            print_form(of_comparison(record), form)
        else:
            _print_comparison(record, as_json)
    if recover is not None and recover.exists():
        how = "weightkin.evasions.apply_maps brings b to the order and basis of a with them"
        _say(f"maps that undo it ({' and '.join(record.kind)}) are in {recover}; {how}")
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)
    if fail_if is not None and record.verdict == fail_if.value:
        _say(f"--fail-if {fail_if.value}: a hit, exit code {EXIT_DIFFERS}")
        raise typer.Exit(EXIT_DIFFERS)


app.command()(verify)
app.command()(locate)
app.command()(check)
app.command()(sketch)
app.command()(tree)
app.command()(add)
app.command()(search)
app.command()(trace)
app.command(name="list")(list_models)
app.command()(remove)
app.command()(export)
app.command(name="import")(import_models)
app.command()(serve)
app.add_typer(controls_app, name="controls")


def _print_comparison(record: Comparison, as_json: bool) -> None:
    from weightkin.report.terminal import comparison_lines

    print(record.to_json() if as_json else "\n".join(comparison_lines(record)))
