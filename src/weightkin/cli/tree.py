"""The command `tree`: the family of many models."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
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
    sources: Annotated[
        list[str] | None, typer.Argument(help="Models, or one folder of models.")
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
) -> None:
    """Find the family of many models: who was made from whom, and how."""
    from weightkin.lineage.collection import cache_folder
    from weightkin.report.graph_formats import FORMATS
    from weightkin.report.tree import explain as explained
    from weightkin.report.tree import family_lines

    if not 0 < alpha < 1:
        raise UsageError(f"--alpha is {alpha}, expected a number between 0 and 1")
    if seed < 0:
        raise UsageError("--seed must not be negative")
    if as_json + (graph_format is not None) + (explain is not None) > 1:
        raise UsageError("--json, --format and --explain exclude each other")
    if (registry is not None) == bool(sources):
        raise UsageError("expected either SOURCE... or --registry FILE")
    models = named(sources) if sources else []
    check_page(html, models)
    progress = progress_line() if sys.stderr.isatty() else None
    if registry is not None:
        if method is not Method.WEIGHTKIN or cache is not None:
            raise UsageError("--method and --cache are for SOURCE..., not for --registry")
        graph = weightkin.Registry(registry).family(alpha=alpha, seed=seed, progress=progress)
    else:
        graph = weightkin.family_graph(
            models,
            alpha=alpha,
            seed=seed,
            method=method.value,
            cache=cache_folder(cache),
            progress=progress,
        )
    if progress is not None:
        print(CLEAR, end="", file=sys.stderr)
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
    """The sources themselves, or every model directly inside a folder that is the only one."""
    folder = Path(sources[0])
    try:
        if len(sources) > 1 or "\0" in sources[0] or not folder.is_dir():
            return sources
        entries = sorted(x for x in folder.iterdir() if not x.name.startswith("."))
        inside = [x for x in entries if _holds_model(x)]
        if any(x.is_file() and IS_PART.search(x.name) for x in entries):
            inside = [folder, *(x for x in inside if x.is_dir())]
    except OSError as error:
        raise UnreadableModel(f"{folder}: cannot be listed ({error.strerror})") from None
    if not inside:
        found = f"found no model among {len(entries)} entries"
        wanted = f"subfolders with weights, or files ending in {', '.join(SUFFIXES)}"
        raise UnreadableModel(f"{folder}: {found}, expected {wanted}")
    return [str(x) for x in inside]


def _holds_model(path: Path) -> bool:
    """A file of weights, or a folder with one directly inside; adapters are told to the reader."""
    if path.is_dir():
        return any(x.suffix.lower() in SUFFIXES for x in path.iterdir())
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(NO_MODEL)


def progress_line() -> Callable[[str, int, int, int], None]:
    """Draw one line that is written over: what, how far, bytes read, time left."""
    from weightkin.report.terminal import file_size

    started: dict[str, float] = {}

    def show(what: str, n_done: int, n_total: int, n_bytes: int) -> None:
        spent = time.monotonic() - started.setdefault(what, time.monotonic())
        left = f", {spent / n_done * (n_total - n_done):.0f} s left" if n_done else ""
        line = f"{what} {n_done}/{n_total}, read {file_size(n_bytes)}{left}"
        print(f"{CLEAR}{line}", end="", file=sys.stderr, flush=True)

    return show
