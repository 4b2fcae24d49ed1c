"""The commands of the registry: add, search, trace, list, remove, export, import."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weightkin.cli.hand_over import AsForm, check_form, print_form
from weightkin.cli.html import ToHtml, check_page, page_beside
from weightkin.cli.options import EXIT_INCOMPLETE, Cluster, Workers, check_where
from weightkin.cli.progress import progress_line
from weightkin.cli.sources import named
from weightkin.errors import UnreadableModel, UsageError, WorkerLost
from weightkin.report.reasons import why

if TYPE_CHECKING:
    from weightkin.records.registry import Adding, Trace
    from weightkin.registry import Registry

File = Annotated[
    Path | None, typer.Option("--registry", metavar="FILE", help="Not the user's own registry.")
]
Where = Annotated[
    str | None,
    typer.Option(
        metavar="lance:WHERE",
        help="Where a new registry keeps vectors and sketches: a folder, or s3://BUCKET/PATH.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print exactly the record.")]
Alpha = Annotated[float, typer.Option(help="Level of the whole search.")]
Seed = Annotated[int, typer.Option(help="Breaks ties; recorded.")]
Most = Annotated[int, typer.Option(help="Candidates that are compared, the nearest.")]
Query = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="A model, or the name or #number of a registered one."),
]


def add(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE", help="Models, or folders of models."),
    ] = None,
    registry: File = None,
    workers: Workers = 1,
    cluster: Cluster = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Also take up what stopped jobs left.")
    ] = False,
    store: Where = None,
    as_json: AsJson = False,
) -> None:
    """Register models, so that relatives are found among them."""
    check_where(workers, cluster)
    if not sources and not resume:
        raise UsageError("no model was named, expected SOURCE... or --resume")
    with progress_line() as progress:
        record = _home(registry, store).add(
            named(sources) if sources else [],
            workers=workers,
            cluster=cluster,
            resume=resume,
            progress=progress,
        )
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

    check_page(html, (source,))
    record = _traced(source, registry, alpha, most, seed).search
    with page_beside(html, record):
        print(record.to_json() if as_json else "\n".join(search_lines(record)))
    _exit(record.incomplete)


def trace(
    source: Query,
    registry: File = None,
    alpha: Alpha = 1e-6,
    most: Most = 32,
    seed: Seed = 0,
    html: ToHtml = None,
    as_json: AsJson = False,
    form: AsForm = None,
) -> None:
    """Follow a model to its root, and hold what it declares against that."""
    from weightkin.report.parentage import of_trace
    from weightkin.report.registry import trace_lines

    check_form(form, as_json)
    check_page(html, (source,))
    record = _traced(source, registry, alpha, most, seed)
    with page_beside(html, record):
        if form is not None:
            print_form(of_trace(record), form)
        else:
            print(record.to_json() if as_json else "\n".join(trace_lines(record)))
    _exit(record.search.incomplete)


def list_models(registry: File = None, as_json: AsJson = False) -> None:
    """List what is registered: when, from where, and what it declares."""
    from weightkin.records.registry import listing_json
    from weightkin.report.registry import listing_lines

    models = _home(registry).list()
    print(listing_json(models) if as_json else "\n".join(listing_lines(models)))


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name, #number or source.")],
    registry: File = None,
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
    store: Where = None,
    as_json: AsJson = False,
) -> None:
    """Register the models of an exported file."""
    _finish_adding(_home(registry, store).import_(file), as_json)


def _home(path: Path | None, store: str | None = None) -> Registry:
    from weightkin.registry import Registry

    return Registry(path, store=store)


def _traced(source: str, registry: Path | None, alpha: float, most: int, seed: int) -> Trace:
    if not 0 < alpha < 1:
        raise UsageError(f"--alpha is {alpha}, expected a number between 0 and 1")
    if most < 1 or seed < 0:
        raise UsageError("--most must be at least 1 and --seed not negative")
    return _home(registry).trace(source, alpha=alpha, most=most, seed=seed)


def _exit(is_incomplete: bool) -> None:
    if is_incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


def _finish_adding(record: Adding, as_json: bool) -> None:
    """Print; exit 2 where a part is missing, 3 where all is."""
    from weightkin.lineage.family import none_read
    from weightkin.report.registry import adding_lines
    from weightkin.report.terminal import printable

    if record.skipped and not record.n_waiting and not record.added and not record.known:
        kind = WorkerLost if record.n_lost else UnreadableModel
        raise kind(none_read([why(x) for x in record.skipped]))
    print(record.to_json() if as_json else "\n".join(adding_lines(record)))
    for skipped in record.skipped:
        print(f"weightkin: {printable(why(skipped))}", file=sys.stderr)
    _exit(record.incomplete)
