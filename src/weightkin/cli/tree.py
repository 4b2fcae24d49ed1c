"""The command `tree`: the family of many models."""

from __future__ import annotations

import difflib
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weightkin.cli.answers import Answer
from weightkin.cli.formats import GraphFormat, GraphFormatOption
from weightkin.cli.locate import can_print
from weightkin.cli.options import (
    EXIT_INCOMPLETE,
    Alpha,
    AsJson,
    Cluster,
    Models,
    OnlyEstimate,
    Recursive,
    RegistryFile,
    Seed,
    Workers,
    exclusive,
    execution_of,
    print_estimate,
    registry_is_default,
)
from weightkin.cli.progress import family_stages, progress_line
from weightkin.cli.reports import Reports
from weightkin.cli.sources import named
from weightkin.errors import UsageError, WeightkinError

if TYPE_CHECKING:
    from weightkin.records.family import FamilyGraph

DRAWING = "├└│─▶…"


class Method(StrEnum):
    """How the tree is found."""

    WEIGHTKIN = "weightkin"
    MOTHER = "mother"


def tree(
    context: typer.Context,
    sources: Annotated[list[str] | None, Models] = None,
    *,
    recursive: Recursive = False,
    as_json: AsJson = False,
    form: GraphFormatOption = None,
    explain: Annotated[
        str | None, typer.Option(metavar="CHILD", help="Explain the parent of this model.")
    ] = None,
    method: Annotated[
        Method,
        typer.Option(help="weightkin: this tool. mother: the MoTHer recipe, for comparison."),
    ] = Method.WEIGHTKIN,
    registry: RegistryFile = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Cache folder for sketches (default: your own)."),
    ] = None,
    alpha: Alpha = 1e-6,
    seed: Seed = 0,
    workers: Workers = 1,
    cluster: Cluster = None,
    estimate: OnlyEstimate = False,
    reports: Reports,
    answer: Answer,
) -> None:
    """Show which models were derived from which. Give models, or --registry."""
    from weightkin.api.estimate import estimate_sketches
    from weightkin.api.tree import family_graph
    from weightkin.formats.write_guard import refuse_inside
    from weightkin.lineage.collection import WHOLE_UP_TO, cache_folder
    from weightkin.registry import Registry

    exclusive(json=as_json, format=form, explain=explain)
    if sources and registry_is_default(context):
        registry = None  # a default is for where nothing else is named
    if (registry is not None) == bool(sources):
        raise UsageError("give either models or --registry FILE")
    if registry is not None and (method is not Method.WEIGHTKIN or cache is not None or estimate):
        raise UsageError("--method, --cache and --estimate cannot be used with --registry")
    models = named(sources, is_recursive=recursive, note=answer.note) if sources else []
    if estimate:
        print_estimate(estimate_sketches(models, small=WHOLE_UP_TO), answer, as_json=as_json)
        return
    reports.check(models)
    if explain is not None:
        _check_child(explain, models)
    if cache is not None:
        refuse_inside(cache, models)
    with progress_line(answer, family_stages()) as progress:
        if registry is not None:
            graph = Registry(registry).family(alpha=alpha, seed=seed, progress=progress)
        else:
            graph = family_graph(
                models,
                alpha=alpha,
                seed=seed,
                method=method.value,
                cache=cache_folder(cache),
                execution=execution_of(workers, cluster, progress),
            )
    with reports.beside(graph, answer.note):
        if as_json:
            answer.text(graph.to_json())
        else:
            _print(graph, form, explain, answer)
    if graph.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


def _print(
    graph: FamilyGraph, form: GraphFormat | None, explain: str | None, answer: Answer
) -> None:
    from weightkin.report.explain import explain as explain_lines
    from weightkin.report.rendering import lines_of, written

    is_unicode = can_print(DRAWING)
    if form is not None:
        answer.data(written(graph, form.value))
    elif explain is not None:
        answer.lines(explain_lines(graph, explain, is_unicode=is_unicode), None)
    else:
        answer.lines(
            lines_of(graph, width=answer.width, is_unicode=is_unicode, is_full=answer.is_verbose)
        )


def _check_child(child: str, sources: list[str]) -> None:
    """Refuse a child of no such name before all the work, where headers here say all names."""
    from weightkin.sketch.source import open_model

    names = []
    named_so = re.sub(r"~\d+$", "", child)  # numbers tell models of one name apart
    if not sources or child.startswith("unobserved-") or child in sources:
        return
    for source in sources:
        if "+" in source or not Path(source).exists():
            return  # on a hub, or beside an adapter: asked once, when it is read
        try:
            names.append(open_model(source).name)
        except WeightkinError:
            continue  # said when it is read
    if child not in names and named_so not in names:
        near = difflib.get_close_matches(child, names, n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UsageError(f"no model here is called {child!r}{hint}")
