"""The command `locate`: where two models are alike."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from weightkin.cli.html import ToHtml, check_page, page_beside
from weightkin.errors import UsageError

EXIT_INCOMPLETE = 2


def locate(
    a: Annotated[str, typer.Argument(metavar="A", help="A model folder or file.")],
    b: Annotated[str, typer.Argument(metavar="B", help="A model folder or file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print exactly the record.")] = False,
    html: ToHtml = None,
    alpha: Annotated[float, typer.Option(help="Level of the whole map.")] = 1e-6,
    seed: Annotated[int, typer.Option(help="Breaks ties; recorded.")] = 0,
) -> None:
    """Say which blocks, units, dimensions and tensors of A are found in B."""
    from weightkin.api.locate import locate as run
    from weightkin.report.heatmap import SHADES, location_lines

    if not 0 < alpha < 1:
        raise UsageError(f"--alpha is {alpha}, expected a number between 0 and 1")
    if seed < 0:
        raise UsageError("--seed must not be negative")
    check_page(html, (a, b))
    record = run(a, b, alpha=alpha, seed=seed)
    is_unicode = can_print(SHADES)
    lines = [record.to_json()] if as_json else location_lines(record, is_unicode=is_unicode)
    with page_beside(html, record):
        print("\n".join(lines))
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


def can_print(text: str) -> bool:
    """Whether the terminal, or what stands in for it, knows these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
