"""The command line: parses, calls one verb, prints its record, turns errors into exit codes."""

from __future__ import annotations

import json
import os
import sys
import traceback
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from weightkin import __version__
from weightkin.cli.controls import controls as controls_app
from weightkin.cli.html import ToHtml, check_page, page_beside
from weightkin.cli.locate import locate
from weightkin.cli.registry import add, export, import_models, list_models, remove, search, trace
from weightkin.cli.serve import serve
from weightkin.cli.sketch import sketch
from weightkin.cli.tree import tree
from weightkin.errors import UsageError, WeightkinError

if TYPE_CHECKING:
    from weightkin.records import Comparison

# typer carries its own copy of click; this is the base of everything a command line can get wrong
CommandLineError: type[Exception] = next(
    c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException"
)
EXIT_DIFFERS, EXIT_INCOMPLETE, EXIT_USAGE = 1, 2, 4
MOST_SHOWN = 10

app = typer.Typer(
    help="Do two models share weights? Exact p-values, effect sizes, recomputable evidence.",
    epilog="Exit codes: 0 done, whatever the verdict; 1 --fail-if or verify hit; 2 not all could be"
    " read; 3 no source could be read; 4 wrong command line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print exactly the record.")]
OnlyEstimate = Annotated[
    bool, typer.Option("--estimate", help="Only say how many bytes would be read.")
]


class FailIf(StrEnum):
    """Verdicts that can make `compare` exit with 1."""

    DEPENDENT = "dependent"


def main() -> None:
    """Entry point. The only place where a `WeightkinError` is caught."""
    sys.excepthook = _report_bug
    # matrices here are small: one thread is faster, and sums in the same order on every machine
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        code = app(standalone_mode=False)
    except CommandLineError as error:
        error.show()  # type: ignore[attr-defined]
        sys.exit(EXIT_USAGE)
    except WeightkinError as error:
        print(f"weightkin: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        print("weightkin: stopped", file=sys.stderr)
        sys.exit(EXIT_INCOMPLETE)
    except BrokenPipeError:  # the reader of our output went away
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_INCOMPLETE)
    sys.exit(code if isinstance(code, int) else 0)


def _report_bug(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """A bug keeps its traceback, and never the exit code of a hit."""
    traceback.print_exception(kind, error, trace)
    sys.stderr.flush()
    os._exit(EXIT_INCOMPLETE)


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
    source: Annotated[str, typer.Argument(help="A model folder, file or org/name on a hub.")],
    as_json: AsJson = False,
    estimate: OnlyEstimate = False,
) -> None:
    """Print what is in a model: family, blocks, unit axes, dtypes, digest."""
    from weightkin.anatomy import read_anatomy
    from weightkin.report.model import model_lines, model_record
    from weightkin.weights import digest, open_model

    if estimate:
        _print_estimate(source, None, as_json)
        return
    model = open_model(source)
    anatomy = read_anatomy(model)
    if as_json:
        print(json.dumps(model_record(model, anatomy, digest(model)), indent=2, allow_nan=False))
    else:
        print("\n".join(model_lines(model, anatomy, digest(model))))
    if model.is_partial:
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command()
def compare(  # noqa: PLR0913 (a command has as many parameters as options)
    a: Annotated[str, typer.Argument(help="A model folder, file or org/name on a hub.")],
    b: Annotated[str, typer.Argument(help="A model folder, file or org/name on a hub.")],
    as_json: AsJson = False,
    html: ToHtml = None,
    estimate: OnlyEstimate = False,
    alpha: Annotated[float, typer.Option(help="Level of the verdict.")] = 1e-6,
    fail_if: Annotated[FailIf | None, typer.Option(help="Exit with 1 on this verdict.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Hidden units only; stop at the first proof.")
    ] = False,
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="Also the blind tests and, with [torch], activations."),
    ] = False,
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
    seed: Annotated[int, typer.Option(help="Breaks ties; recorded.")] = 0,
) -> None:
    """Test whether two models share weights: a verdict with its p-value, effect and null."""
    from weightkin.verbs.compare import compare as run

    if not 0 < alpha < 1:
        raise UsageError(f"--alpha is {alpha}, expected a number between 0 and 1")
    if quick and thorough:
        raise UsageError("--quick and --thorough exclude each other")
    if published < 0 or seed < 0:
        raise UsageError("--published and --seed must not be negative")
    if recover is not None:
        _check_target(recover, (a, b))
    check_page(html, (a, b))
    if estimate:
        _print_estimate(a, b, as_json)
        return
    record = run(
        a,
        b,
        alpha=alpha,
        seed=seed,
        quick=quick,
        thorough=thorough,
        published=published,
        with_full_digest=full_digest,
        recover=recover,
        controls=controls,
    )
    with page_beside(html, record):
        _print_comparison(record, as_json)
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)
    if fail_if is not None and record.verdict == fail_if.value:
        raise typer.Exit(EXIT_DIFFERS)


@app.command()
def verify(
    record: Annotated[str, typer.Argument(help="A record of compare --json or locate --json.")],
    a: Annotated[str | None, typer.Argument(help="Where model a is now.")] = None,
    b: Annotated[str | None, typer.Argument(help="Where model b is now.")] = None,
) -> None:
    """Rerun a record with its own parameters: exit 0 if all is the same, 1 if anything differs."""
    from weightkin.errors import UnreadableModel
    from weightkin.records.reading import read_record
    from weightkin.verbs.verify import verify as run
    from weightkin.verbs.verify import what_agrees

    if (a is None) != (b is None):
        raise UsageError("verify takes both models or neither")
    try:
        text = Path(record).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UnreadableModel(f"{record}: cannot be read as a record ({error})") from None
    old = read_record(text, record)
    differences = run(old, a, b)
    for line in differences[:MOST_SHOWN]:
        print(line)
    if len(differences) > MOST_SHOWN:
        print(f"and {len(differences) - MOST_SHOWN} more")
    print("different" if differences else f"same: {what_agrees(old)}")
    if differences:
        raise typer.Exit(EXIT_DIFFERS)


def _check_target(target: Path, sources: tuple[str, str]) -> None:
    """A file in a folder that exists, outside both models. `compare` refuses to overwrite one."""
    if not target.parent.is_dir():
        raise UsageError(f"{target}: its folder does not exist")
    for source in map(Path, sources):
        folder = source if source.is_dir() else source.parent
        if target.resolve().is_relative_to(folder.resolve()) and source.is_dir():
            raise UsageError(f"{target}: lies inside the model {source}")


app.command()(locate)
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


def _print_estimate(a: str, b: str | None, as_json: bool) -> None:
    from weightkin.report.estimating import estimate_lines
    from weightkin.verbs.estimate import estimate

    record = estimate(a, b)
    print(record.to_json() if as_json else "\n".join(estimate_lines(record)))


def _print_comparison(record: Comparison, as_json: bool) -> None:
    from weightkin.report.terminal import comparison_lines

    print(record.to_json() if as_json else "\n".join(comparison_lines(record)))
