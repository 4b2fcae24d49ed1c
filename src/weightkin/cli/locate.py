"""The command `locate`: where two models are alike."""

from __future__ import annotations

import sys

import typer

from weightkin.cli.answers import Answer
from weightkin.cli.options import EXIT_INCOMPLETE, A, Alpha, AsJson, B, Seed
from weightkin.cli.reports import Reports


def locate(
    a: A,
    b: B,
    *,
    as_json: AsJson = False,
    alpha: Alpha = 1e-6,
    seed: Seed = 0,
    reports: Reports,
    answer: Answer,
) -> None:
    """Find which blocks, units and tensors of A are in B."""
    from weightkin.api.locate import locate as run
    from weightkin.report.heatmap import SHADES, location_lines

    reports.check((a, b))
    record = run(a, b, alpha=alpha, seed=seed)
    with reports.beside(record, answer.note):
        if as_json:
            answer.text(record.to_json())
        else:
            is_unicode = can_print(SHADES)
            answer.lines(location_lines(record, is_unicode=is_unicode, is_full=answer.is_verbose))
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


def can_print(text: str) -> bool:
    """Whether the terminal, or what stands in for it, knows these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
