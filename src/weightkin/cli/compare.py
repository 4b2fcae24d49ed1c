"""The command `compare`: do two models share weights?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weightkin.cli.answers import Answer
from weightkin.cli.formats import PairFormat, PairFormatOption
from weightkin.cli.options import (
    EXIT_DIFFERS,
    EXIT_INCOMPLETE,
    OF_SEED,
    A,
    Alpha,
    AsJson,
    B,
    Controls,
    FullDigest,
    OnlyEstimate,
    exclusive,
    print_estimate,
)
from weightkin.cli.reports import Reports
from weightkin.errors import UsageError

if TYPE_CHECKING:
    from weightkin.records import Comparison


class FailIf(StrEnum):
    """Verdicts that can make `compare` exit with 1."""

    DEPENDENT = "dependent"


class Effort(StrEnum):
    """How much `compare` looks at."""

    QUICK = "quick"
    STANDARD = "standard"
    THOROUGH = "thorough"


def compare(
    a: A,
    b: B,
    *,
    as_json: AsJson = False,
    form: PairFormatOption = None,
    effort: Annotated[
        Effort,
        typer.Option(
            help="quick: hidden units only, stops at the first significant test. thorough: every"
            " test, also those that run the models (extra [torch])."
        ),
    ] = Effort.STANDARD,
    relatives: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="MODEL",
            help="Another related model, to help determine the direction (repeatable).",
        ),
    ] = None,
    published: Annotated[
        int,
        typer.Option(
            metavar="T",
            help="Also run the tests of Zhu et al. 2025 with T random permutations (0: do not).",
        ),
    ] = 0,
    full_digest: FullDigest = False,
    recover: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="If b is a permuted, rotated or rescaled copy of a, write how to undo that.",
        ),
    ] = None,
    controls: Controls = None,
    fail_if: Annotated[FailIf | None, typer.Option(help="Exit with 1 on this verdict.")] = None,
    alpha: Alpha = 1e-6,
    challenge: Annotated[
        str,
        typer.Option(
            metavar="WHO",
            help="Who draws the sample: own (fresh bytes), joint:HEX:HEX (one text of each party,"
            " who had published its hash before) or beacon:HEX (a public source of randomness).",
        ),
    ] = "own",
    seed: Annotated[int | None, OF_SEED] = None,
    estimate: OnlyEstimate = False,
    reports: Reports,
    answer: Answer,
) -> None:
    """Test whether two models share weights. Prints a verdict with p-value and effect sizes."""
    from weightkin.api.compare import Options
    from weightkin.api.compare import compare as run
    from weightkin.evidence.controls import load_controls
    from weightkin.formats.write_guard import refuse_inside

    exclusive(json=as_json, format=form)
    exclusive(format=form, estimate=estimate)
    if recover is not None:
        refuse_inside(recover, (a, b))
        if not recover.parent.is_dir():
            raise UsageError(f"{recover}: its folder does not exist")
    if controls is not None:
        load_controls(controls)  # a bad file is refused before anything is read
    reports.check((a, b))
    if estimate:
        from weightkin.api.estimate import estimate as estimated

        print_estimate(estimated(a, b), answer, as_json=as_json)
        return
    options = Options(
        relatives=relatives or (),
        published=published,
        full_digest=full_digest,
        recover=recover,
        controls=controls,
        challenge=challenge,
    )
    record = run(a, b, effort=effort.value, alpha=alpha, seed=seed, options=options)
    with reports.beside(record, answer.note):
        _print(record, form, answer, as_json=as_json)
    if recover is not None and recover.exists():
        answer.note(
            f"{recover}: the transformation back ({' and '.join(record.kind)});"
            " weightkin.evasions.apply_maps applies it to b"
        )
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)
    if fail_if is not None and record.verdict == fail_if.value:
        answer.note(f"--fail-if {fail_if.value}: exit code {EXIT_DIFFERS}")
        raise typer.Exit(EXIT_DIFFERS)


def _print(record: Comparison, form: PairFormat | None, answer: Answer, *, as_json: bool) -> None:
    from weightkin.report.comparison import comparison_lines
    from weightkin.report.rendering import written

    if form is not None:
        answer.data(written(record, form.value))
    elif as_json:
        answer.text(record.to_json())
    else:
        answer.lines(comparison_lines(record, is_full=answer.is_verbose))
