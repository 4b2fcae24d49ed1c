"""The commands of the registry: add, search, trace, list, remove, export, import."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weightkin.cli.html import ToHtml, check_page, page_beside
from weightkin.cli.tree import CLEAR, EXIT_INCOMPLETE, named, progress_line
from weightkin.errors import UnreadableModel, UsageError

if TYPE_CHECKING:
    from weightkin.records.registry import Adding
    from weightkin.registry import Registry

File = Annotated[
    Path | None, typer.Option("--registry", metavar="FILE", help="Not the user's own registry.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print exactly the record.")]
Alpha = Annotated[float, typer.Option(help="Level of the whole search.")]
Seed = Annotated[int, typer.Option(help="Breaks ties; recorded.")]
Most = Annotated[int, typer.Option(help="Candidates that are compared, the nearest.")]
Query = Annotated[str, typer.Argument(help="A model, or the name or #number of a registered one.")]


def add(
    sources: Annotated[
        list[str] | None, typer.Argument(help="Models, or one folder of models.")
    ] = None,
    registry: File = None,
    workers: Annotated[int, typer.Option(help="Processes that read models.")] = 1,
    resume: Annotated[
        bool, typer.Option("--resume", help="Also take up what stopped jobs left.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Register models, so that relatives are found among them."""
    if workers < 1:
        raise UsageError(f"--workers is {workers}, expected at least 1")
    if not sources and not resume:
        raise UsageError("no model was named, expected SOURCE... or --resume")
    progress = progress_line() if sys.stderr.isatty() else None
    record = _home(registry).add(
        named(sources) if sources else [], workers=workers, resume=resume, progress=progress
    )
    if progress is not None:
        print(CLEAR, end="", file=sys.stderr)
    _finish_adding(record, as_json)


def search(
    source: Query,
    registry: File = None,
    alpha: Alpha = 1e-6,
    most: Most = 32,
    seed: Seed = 0,
    html: ToHtml = None,
    as_json: AsJson = False,
) -> None:
    """Find who is related to a model, among all that are registered."""
    from weightkin.report.registry import search_lines

    _check(alpha, most, seed)
    check_page(html, (source,))
    record = _home(registry).search(source, alpha=alpha, most=most, seed=seed)
    with page_beside(html, record):
        print(record.to_json() if as_json else "\n".join(search_lines(record)))
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


def trace(
    source: Query,
    registry: File = None,
    alpha: Alpha = 1e-6,
    most: Most = 32,
    seed: Seed = 0,
    html: ToHtml = None,
    as_json: AsJson = False,
) -> None:
    """Follow a model to its root, and hold what it declares against that."""
    from weightkin.report.registry import trace_lines

    _check(alpha, most, seed)
    check_page(html, (source,))
    record = _home(registry).trace(source, alpha=alpha, most=most, seed=seed)
    with page_beside(html, record):
        print(record.to_json() if as_json else "\n".join(trace_lines(record)))
    if record.search.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


def list_models(registry: File = None, as_json: AsJson = False) -> None:
    """List what is registered: when, from where, and what it declares."""
    from weightkin.records.registry import listing_json
    from weightkin.report.registry import listing_lines

    models = _home(registry).list()
    print(listing_json(models) if as_json else "\n".join(listing_lines(models)))


def remove(
    name: Annotated[str, typer.Argument(help="Name, #number or source.")], registry: File = None
) -> None:
    """Forget every registered model of a name."""
    from weightkin.report.terminal import printable

    for model in _home(registry).remove(name):
        print(f"removed #{model.id} {printable(model.name)}")


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where it goes.")],
    registry: File = None,
) -> None:
    """Write all but the weights into one file."""
    print(f"{_home(registry).export(file)} models in {file}")


def import_models(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `export` wrote.")],
    registry: File = None,
    as_json: AsJson = False,
) -> None:
    """Register the models of an exported file."""
    _finish_adding(_home(registry).import_(file), as_json)


def _home(path: Path | None) -> Registry:
    from weightkin.registry import Registry

    return Registry(path)


def _check(alpha: float, most: int, seed: int) -> None:
    if not 0 < alpha < 1:
        raise UsageError(f"--alpha is {alpha}, expected a number between 0 and 1")
    if most < 1 or seed < 0:
        raise UsageError("--most must be at least 1 and --seed not negative")


def _finish_adding(record: Adding, as_json: bool) -> None:
    """Print; exit 2 where a part is missing, 3 where all is."""
    from weightkin.report.registry import adding_lines
    from weightkin.report.terminal import printable

    if record.skipped and not record.n_waiting and not record.added and not record.known:
        raise UnreadableModel(
            f"none of {len(record.skipped)} models could be read: {record.skipped[0].why}"
        )
    print(record.to_json() if as_json else "\n".join(adding_lines(record)))
    for skipped in record.skipped:
        print(f"weightkin: {printable(skipped.why)}", file=sys.stderr)
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)
