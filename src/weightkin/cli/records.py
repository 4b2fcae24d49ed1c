"""The commands `render` and `verify`: saved records, drawn again or recomputed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weightkin.cli.answers import Answer
from weightkin.cli.formats import AnyFormat, AnyFormatOption
from weightkin.cli.locate import can_print
from weightkin.cli.options import (
    EXIT_DIFFERS,
    EXIT_INCOMPLETE,
    RegistryFile,
    exclusive,
    registry_is_default,
)
from weightkin.cli.reports import Reports
from weightkin.errors import UnreadableModel, UsageError
from weightkin.text import counted

if TYPE_CHECKING:
    from weightkin.api.verify import Record
    from weightkin.records.checking import Check

MOST_BYTES = 1 << 28
MOST_SHOWN = 10


def render(
    record: Annotated[
        str, typer.Argument(metavar="RECORD", help="A file that a command wrote with --json.")
    ],
    *,
    form: AnyFormatOption = None,
    reports: Reports,
    answer: Answer,
) -> None:
    """Convert a saved result to text or another format. Nothing is recomputed."""
    from weightkin.cli.tree import DRAWING
    from weightkin.report.rendering import DRAWN, ITEMISED, PAGED, lines_of, read_any, written

    exclusive(html=reports.html, format=form)
    exclusive(svg=reports.svg, format=form)
    exclusive(png=reports.png, format=form)
    reports.check(())
    found = read_any(read_file(record), record)
    if form is not None and form is not AnyFormat.TEXT:
        answer.data(written(found, form.value))
        return
    if reports.html is not None and not isinstance(found, PAGED):
        raise UsageError("--html: this result has no HTML report")
    if (reports.svg or reports.png) and not isinstance(found, DRAWN):
        raise UsageError("--svg, --png: this result has no picture")
    is_unicode = can_print(DRAWING)
    lines = lines_of(found, width=answer.width, is_unicode=is_unicode, is_full=answer.is_verbose)
    with reports.beside(found, answer.note, is_saved=True):
        answer.lines(lines, None if isinstance(found, ITEMISED) else 1)


def verify(
    context: typer.Context,
    record: Annotated[
        str | None,
        typer.Argument(
            metavar="RECORD", help="A file that compare, locate, tree or check wrote with --json."
        ),
    ] = None,
    a: Annotated[str | None, typer.Argument(metavar="A", help="Where model a is now.")] = None,
    b: Annotated[str | None, typer.Argument(metavar="B", help="Where model b is now.")] = None,
    *,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Look at the two models of a result of compare again, on a sample of its own.",
        ),
    ] = False,
    secret: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|env:NAME",
            help="Where the key is by which a policy drew the samples of a result of check.",
        ),
    ] = None,
    registry: RegistryFile = None,
    edges: Annotated[
        bool,
        typer.Option(
            "--edges",
            help="With --registry alone: also repeat the fresh runs that its comparisons rest on.",
        ),
    ] = False,
    answer: Answer,
) -> None:
    """Recompute a saved result and compare. 0: same; 1: different; 2: not all could be compared.

    Without RECORD every entry of a registry is checked.
    """
    if record is None:
        if registry is None or secret is not None:
            raise UsageError("give a saved result, or --registry FILE to check every entry of it")
        _verify_registry(registry, answer, edges=edges)
        return
    if edges:
        raise UsageError("--edges: only a registry has comparisons to repeat")
    if registry is not None and not registry_is_default(context):
        raise UsageError("give either a saved result or --registry FILE")
    from weightkin.api.verify import verify as run
    from weightkin.api.verify import what_agrees
    from weightkin.records.checking import Check
    from weightkin.records.reading import read_record

    if (a is None) != (b is None):
        raise UsageError("give both models or none")
    old = read_record(read_file(record), record)
    if isinstance(old, Check):
        if fresh or a is not None:
            raise UsageError("a result of check names its models itself, and draws no other sample")
        _verify_check(old, secret, answer)
        return
    if secret is not None:
        raise UsageError("--secret: only samples of a result of check are drawn by a secret")
    if fresh:
        _look_again(old, a, b, answer)
        return
    differences = run(old, a, b)
    _print(differences, "different" if differences else f"same: {what_agrees(old)}", answer)
    if differences:
        raise typer.Exit(EXIT_DIFFERS)


def _verify_check(old: Check, secret: str | None, answer: Answer) -> None:
    from weightkin.policy.verifying import verify_check

    found = verify_check(old, secret)
    left = [f"not checked: {line}" for line in found.unchecked]
    outcome = "different" if found.differences else "incomplete" if left else "same"
    agree = f"{counted(found.n_compared, 'comparison')} with models that the policy names"
    said = f"{outcome}: {agree} recomputed" if not found.differences else outcome
    _print([*found.differences, *left], said, answer)
    if left:
        raise typer.Exit(EXIT_INCOMPLETE)
    if found.differences:
        raise typer.Exit(EXIT_DIFFERS)


def _print(found: Sequence[str], outcome: str, answer: Answer) -> None:
    """Lines, as many as are asked for, and what they come to."""
    from weightkin.report.terminal import printable

    most = len(found) if answer.is_verbose else MOST_SHOWN
    lines = [printable(line) for line in found[:most]]
    lines += [f"and {len(found) - most} more"] if len(found) > most else []
    answer.lines([outcome] if answer.is_quiet else [*lines, outcome], None)


def _look_again(old: Record, a: str | None, b: str | None, answer: Answer) -> None:
    from weightkin.api.verify import refreshed
    from weightkin.records import Comparison
    from weightkin.report.draws import refreshed_lines

    if not isinstance(old, Comparison):
        raise UsageError("--fresh: a result of compare alone has a sample that is drawn")
    found = refreshed(old, a, b)
    lines = refreshed_lines(old, found.record, found.log10_pvalue)
    answer.lines(lines[-1:] if answer.is_quiet else lines, None)
    if found.record.verdict != old.verdict:
        raise typer.Exit(EXIT_DIFFERS)


def _verify_registry(path: Path, answer: Answer, *, edges: bool) -> None:
    from weightkin.registry import Registry

    found = Registry(path).verify(edges=edges)
    open_ = [x for x in found if x.code == "edge-not-recomputed"]
    n_wrong = len(found) - len(open_)
    outcome = f"damaged: {n_wrong}" if n_wrong else "everything is as it was written"
    if edges and not n_wrong:
        outcome += f"; not recomputed: {len(open_)}" if open_ else ", and comes out again"
    _print([f"{x.what}: {x.sentence}" for x in found], outcome, answer)
    if found:
        raise typer.Exit(EXIT_DIFFERS if n_wrong else EXIT_INCOMPLETE)


def read_file(path: str) -> str:
    """The text of a record.

    Raises
    ------
    UnreadableModel
        It is missing, too large, or no text.
    """
    from weightkin.sources.local import read_whole

    try:
        return read_whole(Path(path), MOST_BYTES).decode()
    except UnicodeDecodeError as error:
        raise UnreadableModel(f"{path}: cannot be read as a record ({error})") from None
