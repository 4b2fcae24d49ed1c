"""The commands of the registry: add, search, trace, descendants, list, remove, export, import."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weightkin.cli.answers import Answer
from weightkin.cli.formats import PairFormatOption
from weightkin.cli.options import (
    EXIT_INCOMPLETE,
    Alpha,
    AsJson,
    Cluster,
    Models,
    Recursive,
    RegistryFile,
    Seed,
    Workers,
    exclusive,
    execution_of,
)
from weightkin.cli.progress import progress_line
from weightkin.cli.reports import Reports
from weightkin.cli.sources import named
from weightkin.errors import UnreadableModel, UsageError, WorkerLost
from weightkin.report.reasons import why
from weightkin.text import counted

if TYPE_CHECKING:
    from weightkin.records.listing import Adding
    from weightkin.records.registry import Trace
    from weightkin.registry import Registry

Where = Annotated[
    str | None,
    typer.Option(
        metavar="lance:WHERE",
        help="Location of vectors and sketches of a new registry: a folder or s3://BUCKET/PATH.",
    ),
]
Most = Annotated[int, typer.Option(help="Number of nearest candidates to compare.")]
Query = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="A model, or the name or number of a registered one."),
]


def add(
    sources: Annotated[list[str] | None, Models] = None,
    *,
    recursive: Recursive = False,
    resume: Annotated[bool, typer.Option("--resume", help="Also resume interrupted jobs.")] = False,
    store: Where = None,
    registry: RegistryFile = None,
    as_json: AsJson = False,
    workers: Workers = 1,
    cluster: Cluster = None,
    answer: Answer,
) -> None:
    """Add models to a registry. `search` and `trace` find relatives among them."""
    models = named(sources, is_recursive=recursive, note=answer.note) if sources else []
    with progress_line(answer) as progress:
        record = _home(registry, store).add(
            models, resume=resume, execution=execution_of(workers, cluster, progress)
        )
    _finish_adding(record, answer, as_json=as_json)


def search(
    source: Query,
    *,
    registry: RegistryFile = None,
    most: Most = 32,
    as_json: AsJson = False,
    alpha: Alpha = 1e-6,
    seed: Seed = 0,
    reports: Reports,
    answer: Answer,
) -> None:
    """Find the registered models that are related to a model."""
    from weightkin.report.registry import search_lines

    reports.check((source,))
    home = _home(registry)
    record = home.search(source, alpha=alpha, most=most, seed=seed)
    with reports.beside(record, answer.note):
        if as_json:
            answer.text(record.to_json())
        else:
            where = str(home.path)
            lines = search_lines(record, where, is_full=answer.is_verbose, width=answer.width)
            answer.lines(lines)
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


def trace(
    source: Query,
    *,
    registry: RegistryFile = None,
    most: Most = 32,
    as_json: AsJson = False,
    form: PairFormatOption = None,
    alpha: Alpha = 1e-6,
    seed: Seed = 0,
    reports: Reports,
    answer: Answer,
) -> None:
    """Show the lineage of a model. Compares declared with inferred parents."""
    exclusive(json=as_json, format=form)
    reports.check((source,))
    home = _home(registry)
    record = home.trace(source, alpha=alpha, most=most, seed=seed)
    with reports.beside(record, answer.note):
        if form is not None:
            from weightkin.report.rendering import written

            answer.data(written(record, form.value))
        else:
            _print_trace(record, home, answer, as_json=as_json)
    if record.search.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


def descendants(
    source: Query,
    *,
    registry: RegistryFile = None,
    as_json: AsJson = False,
    alpha: Alpha = 1e-6,
    seed: Seed = 0,
    answer: Answer,
) -> None:
    """List all registered models that were made from a model."""
    from weightkin.report.descendants import descendants_lines

    home = _home(registry)
    record = home.descendants(source, alpha=alpha, seed=seed)
    if as_json:
        answer.text(record.to_json())
    else:
        where = str(home.path)
        lines = descendants_lines(record, where, is_full=answer.is_verbose, width=answer.width)
        answer.lines(lines)
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


def list_models(
    *,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONDITION",
            help="Only models for which this holds, such as 'architecture=Llama*', dtype=BF16,"
            " family=NAME or 'parameters>=1B' (repeatable).",
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Sort by a column; -COLUMN: the largest first."),
    ] = None,
    registry: RegistryFile = None,
    as_json: AsJson = False,
    answer: Answer,
) -> None:
    """List the registered models. With architecture, parameters, dtype, family and date."""
    from weightkin.cli.selecting import selected
    from weightkin.registry.listing import listing
    from weightkin.registry.store import default_file
    from weightkin.report.lists import listing_lines

    record = selected(listing(registry or default_file()), where or (), sort)
    if as_json:
        answer.text(record.to_json())
    else:
        lines = listing_lines(record, is_full=answer.is_verbose, width=answer.width)
        answer.lines(lines, None)


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name, #number or source.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    registry: RegistryFile = None,
    answer: Answer,
) -> None:
    """Remove models from a registry, by name, #number or source. Asks first."""
    from weightkin.registry.queries import named_at
    from weightkin.report.registry import numbered

    home = _home(registry)
    if not yes and (found := named_at(home.path, name)):
        for model in found:
            answer.error(f"{numbered(model.name, model.id)}  {model.source}")
        if not sys.stdin.isatty():
            raise UsageError("remove asks first, and nobody can answer here; add --yes")
        typer.confirm(f"Remove {counted(len(found), 'model')}?", abort=True, err=True)
    gone = home.remove(name)
    answer.lines([f"removed {numbered(model.name, model.id)}" for model in gone], None)


def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    registry: RegistryFile = None,
    answer: Answer,
) -> None:
    """Export a registry, without the weights, to one file."""
    n = _home(registry).export(file, force=force)
    answer.lines([f"{counted(n, 'model')} in {file}"], None)


def import_models(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", readable=False, help="File that `export` wrote.")
    ],
    *,
    store: Where = None,
    registry: RegistryFile = None,
    as_json: AsJson = False,
    answer: Answer,
) -> None:
    """Import the models of an exported registry."""
    _finish_adding(_home(registry, store).import_(file), answer, as_json=as_json)


def _home(path: Path | None, store: str | None = None) -> Registry:
    from weightkin.registry import Registry

    return Registry(path, store=store)


def _print_trace(record: Trace, home: Registry, answer: Answer, *, as_json: bool) -> None:
    from weightkin.report.registry import trace_lines

    if as_json:
        answer.text(record.to_json())
    else:
        answer.lines(trace_lines(record, str(home.path), is_full=answer.is_verbose))


def _finish_adding(record: Adding, answer: Answer, *, as_json: bool) -> None:
    """Print; exit 2 where a part is missing, 3 where all is."""
    from weightkin.lineage.family import none_read
    from weightkin.report.lists import adding_lines

    if record.skipped and not record.n_waiting and not record.added and not record.known:
        kind = WorkerLost if record.n_lost else UnreadableModel
        raise kind(none_read([why(x) for x in record.skipped]))
    if as_json:
        answer.text(record.to_json())
    else:
        answer.lines(adding_lines(record, is_full=answer.is_verbose))
    for skipped in record.skipped:
        answer.error(why(skipped))
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)
