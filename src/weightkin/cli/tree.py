"""The command `tree`: the family of many models."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

import weightkin
from weightkin.cli.html import ToHtml, check_page, page_beside
from weightkin.cli.locate import can_print
from weightkin.errors import UnreadableModel, UsageError

EXIT_INCOMPLETE = 2
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
NO_MODEL = ("training_args", "optimizer", "scheduler", "scaler", "rng_state", "adapter_model.")
# files by which a folder is itself one model
IS_PART = re.compile(
    r"-\d+-of-\d+\.\w+$|\.index\.json$"
    r"|^(model|pytorch_model|diffusion_pytorch_model)\.(safetensors|bin)$"
)
CLEAR = "\r\x1b[K"
MOST_NAMED = 30  # characters of a name on a line that is written over


Workers = Annotated[int, typer.Option(help="Processes that read models.")]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="A dask scheduler whose workers read them instead."),
]


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


def tree(  # noqa: PLR0913 (a command has as many parameters as options)
    sources: Annotated[list[str], typer.Argument(help="Models, or one folder of models.")],
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
    cache: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep sketches here, not in the user's cache."),
    ] = None,
    workers: Workers = 1,
    cluster: Cluster = None,
) -> None:
    """Find the family of many models: who was made from whom, and how."""
    from weightkin.lineage.collection import cache_folder
    from weightkin.report.graph_formats import FORMATS
    from weightkin.report.tree import explain as explained
    from weightkin.report.tree import family_lines
    from weightkin.weights.outside import refuse_inside

    if not 0 < alpha < 1:
        raise UsageError(f"--alpha is {alpha}, expected a number between 0 and 1")
    if seed < 0:
        raise UsageError("--seed must not be negative")
    if as_json + (graph_format is not None) + (explain is not None) > 1:
        raise UsageError("--json, --format and --explain exclude each other")
    check_where(workers, cluster)
    models = named(sources)
    check_page(html, models)
    if cache is not None:
        refuse_inside(cache, models)
    with progress_line() as progress:
        graph = weightkin.family_graph(
            models,
            alpha=alpha,
            seed=seed,
            method=method.value,
            cache=cache_folder(cache),
            progress=progress,
            workers=workers,
            cluster=cluster,
        )
    is_unicode = can_print("├└│─▶╌…")
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


def named(sources: list[str]) -> list[str]:
    """The sources, or instead of one that is a folder of models every model directly inside.

    An adapter beside its base is that base with the adapter merged in. Models that lie deeper are
    left out, and that is said.
    """
    folder = Path(sources[0])
    try:
        if len(sources) > 1 or "\0" in sources[0] or not folder.is_dir():
            return [_with_base(x) for x in sources]
        entries = sorted(x for x in folder.iterdir() if not x.name.startswith("."))
        inside = [x for x in entries if _holds_model(x)]
        if any(x.is_file() and IS_PART.search(x.name) for x in entries):
            inside = [folder, *(x for x in inside if x.is_dir())]
        deeper = [y for x in entries if x.is_dir() for y in _models_below(x)]
    except OSError as error:
        raise UnreadableModel(f"{folder}: cannot be listed ({error.strerror})") from None
    left_out = _left_out(deeper)
    if not inside:
        found = f"found no model among {len(entries)} entries"
        found += f" ({left_out})" if deeper else ""
        wanted = f"subfolders with weights, or files ending in {', '.join(SUFFIXES)}"
        raise UnreadableModel(f"{folder}: {found}, expected {wanted}")
    if deeper:
        print(f"weightkin: {left_out}: name their folder to see them", file=sys.stderr)
    return [_with_base(str(x)) for x in inside]


def _models_below(folder: Path) -> list[Path]:
    """Models in the folders of a folder; one that cannot be listed is not looked into."""
    try:
        below = sorted(x for x in folder.iterdir() if not x.name.startswith(".") and x.is_dir())
        return [x for x in below if _holds_model(x)]
    except OSError:
        return []


def _left_out(deeper: list[Path]) -> str:
    from weightkin.report.terminal import printable

    if not deeper:
        return ""
    count = "1 model lies" if len(deeper) == 1 else f"{len(deeper)} models lie"
    return f"{count} one level deeper, not read, such as {printable(str(deeper[0]))}"


def _with_base(source: str) -> str:
    """``base+adapter`` for an adapter whose base lies beside it."""
    from weightkin.weights.adapter import base_beside

    base = base_beside(Path(source)) if "\0" not in source else None
    return source if base is None else f"{base}+{source}"


def _holds_model(path: Path) -> bool:
    """A file of weights, or a folder with one directly inside; sketches in a folder are none."""
    if path.is_dir():
        names = [x.name.lower() for x in path.iterdir()]
        return any(x.endswith(SUFFIXES) and not x.endswith(".sketch.safetensors") for x in names)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(NO_MODEL)


def check_where(workers: int, cluster: str | None) -> None:
    """Refuse what says nothing about where to work, or two things."""
    if workers < 1:
        raise UsageError(f"--workers is {workers}, expected at least 1")
    if cluster is not None and workers > 1:
        raise UsageError("--workers and --cluster exclude each other")


@contextmanager
def progress_line() -> Iterator[Callable[[str, int, int, int], None] | None]:
    """One line that is written over, on a terminal: what, how far, bytes read, time left."""
    from weightkin.report.terminal import file_size, printable

    started = time.monotonic()

    def show(what: str, n_done: int, n_total: int, n_bytes: int) -> None:
        spent = time.monotonic() - started
        left = f", {time_left(spent / n_done * (n_total - n_done))} left" if n_done else ""
        line = f"{printable(what)[:MOST_NAMED]} {n_done}/{n_total}, read {file_size(n_bytes)}{left}"
        print(f"{CLEAR}{line}", end="", file=sys.stderr, flush=True)

    if not sys.stderr.isatty():
        yield None
        return
    try:
        yield show
    finally:
        print(CLEAR, end="", file=sys.stderr, flush=True)


def time_left(seconds: float) -> str:
    """Seconds, or minutes, or hours: as exact as is known."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
