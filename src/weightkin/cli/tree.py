"""The command `tree`: the family of many models."""

from __future__ import annotations

import difflib
import re
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import weightkin
from weightkin.cli.html import ToHtml, check_page, page_beside
from weightkin.cli.locate import can_print
from weightkin.cli.options import (
    EXIT_INCOMPLETE,
    Cluster,
    OnlyEstimate,
    Workers,
    check_where,
    print_estimate,
)
from weightkin.cli.progress import progress_line
from weightkin.cli.sources import named
from weightkin.errors import UsageError, WeightkinError


class Method(StrEnum):
    """How the tree is found."""

    WEIGHTKIN = "weightkin"
    MOTHER = "mother"


class Format(StrEnum):
    """Files of graph tools."""

    DOT = "dot"
    MERMAID = "mermaid"
    GRAPHML = "graphml"
    GEXF = "gexf"
    NEWICK = "newick"


def _check_child(child: str, sources: list[str]) -> None:
    """Refuse a child of no such name before all the work, where headers here say all names."""
    from weightkin.report.terminal import printable
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
        hint = f", expected one such as {', '.join(map(printable, near))}" if near else ""
        raise UsageError(f"no model here is called {printable(child)!r}{hint}")


def tree(
    sources: Annotated[
        list[str] | None,
        typer.Argument(metavar="SOURCE", help="Models, or folders of models."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly the record.")] = False,
    html: ToHtml = None,
    graph_format: Annotated[
        Format | None, typer.Option("--format", help="Print a file for a graph tool.")
    ] = None,
    explain: Annotated[
        str | None, typer.Option(metavar="CHILD", help="Say why this model has its parent.")
    ] = None,
    method: Annotated[
        Method, typer.Option(help="Ours, or the second paper's recipe.")
    ] = Method.WEIGHTKIN,
    alpha: Annotated[float, typer.Option(help="Level of the whole family.")] = 1e-6,
    seed: Annotated[int, typer.Option(help="Breaks ties; recorded.")] = 0,
    registry: Annotated[
        Path | None, typer.Option(metavar="FILE", help="All models of this registry instead.")
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep sketches here, not in the user's cache."),
    ] = None,
    workers: Workers = 1,
    cluster: Cluster = None,
    estimate: OnlyEstimate = False,
) -> None:
    """Find the family of many models: who was made from whom, and how."""
    from weightkin.api.estimate import estimate_sketches
    from weightkin.formats.write_guard import refuse_inside
    from weightkin.lineage.collection import WHOLE_UP_TO, cache_folder
    from weightkin.report.graph_formats import FORMATS
    from weightkin.report.tree import explain as explained
    from weightkin.report.tree import family_lines

    if not 0 < alpha < 1:
        raise UsageError(f"--alpha is {alpha}, expected a number between 0 and 1")
    if seed < 0:
        raise UsageError("--seed must not be negative")
    if as_json + (graph_format is not None) + (explain is not None) > 1:
        raise UsageError("--json, --format and --explain exclude each other")
    check_where(workers, cluster)
    if (registry is not None) == bool(sources):
        raise UsageError("expected either SOURCE... or --registry FILE")
    if registry is not None and (method is not Method.WEIGHTKIN or cache is not None or estimate):
        raise UsageError("--method, --cache and --estimate are for SOURCE..., not for --registry")
    models = named(sources) if sources else []
    if estimate:
        print_estimate(estimate_sketches(models, small=WHOLE_UP_TO), as_json=as_json)
        return
    check_page(html, models)
    if explain is not None:
        _check_child(explain, models)
    if cache is not None:
        refuse_inside(cache, models)
    with progress_line() as progress:
        graph = (
            weightkin.Registry(registry).family(alpha=alpha, seed=seed, progress=progress)
            if registry is not None
            else weightkin.family_graph(
                models,
                alpha=alpha,
                seed=seed,
                method=method.value,
                cache=cache_folder(cache),
                progress=progress,
                workers=workers,
                cluster=cluster,
            )
        )
    is_unicode = can_print("├└│─▶…")
    with page_beside(html, graph):
        if as_json:
            print(graph.to_json())
        elif graph_format is not None:  # always UTF-8: XML says so in its first line
            sys.stdout.buffer.write(FORMATS[graph_format.value](graph).encode())
        elif explain is not None:
            print("\n".join(explained(graph, explain, is_unicode=is_unicode)))
        else:
            print("\n".join(family_lines(graph, is_unicode=is_unicode)))
    if graph.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)
