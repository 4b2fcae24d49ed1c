"""The command `serve`: pages and API of a registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weightkin.cli.registry import File
from weightkin.errors import UsageError


def serve(
    registry: File = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8321,
    name: Annotated[
        list[str] | None, typer.Option(help="A host name that visitors may use; repeatable.")
    ] = None,
    workers: Annotated[int, typer.Option(help="Jobs that run at once.")] = 1,
) -> None:
    """Open the pages and the API of a registry on this machine."""
    if not 0 <= port <= 65535:
        raise UsageError(f"--port is {port}, expected 0 to 65535")
    if workers < 1:
        raise UsageError(f"--workers is {workers}, expected at least 1")
    try:
        from weightkin.web.serving import serve as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("weightkin"):
            raise
        needed = "expected the extra: pip install 'weightkin[web]'"
        raise UsageError(f"serve: {error.name} is not installed, {needed}") from None
    from weightkin.registry.store import default_file

    path: Path = default_file() if registry is None else registry
    run(path, host=host, port=port, names=name or (), workers=workers, say=_say)


def _say(line: str) -> None:
    print(f"weightkin: {line}", flush=True)
