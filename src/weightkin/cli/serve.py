"""The command `serve`: pages and API of a registry."""

from __future__ import annotations

from typing import Annotated

import typer

from weightkin.cli.options import RegistryFile, Workers
from weightkin.errors import UsageError


def serve(
    *,
    registry: RegistryFile = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for a free one.")] = 8321,
    name: Annotated[
        list[str] | None, typer.Option(metavar="HOST", help="Allowed host name (repeatable).")
    ] = None,
    workers: Workers = 1,
) -> None:
    """Serve web pages and an API for a registry on this machine."""
    try:
        from weightkin.web.serving import serve as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("weightkin"):
            raise
        raise UsageError(f"serve needs {error.name}: pip install 'weightkin[web]'") from None
    from weightkin.registry.store import default_file

    run(registry or default_file(), host=host, port=port, names=name or (), workers=workers)
