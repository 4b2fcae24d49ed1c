"""Options that several commands share: each has one meaning and one help text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from weightkin.errors import UsageError
from weightkin.report.reasons import why

if TYPE_CHECKING:
    from weightkin.cli.answers import Answer
    from weightkin.compute import Execution, Progress
    from weightkin.records.estimating import Estimate

EXIT_DIFFERS, EXIT_INCOMPLETE = 1, 2

_MODEL = "A model: folder, file, or org/name on a hub."
A = Annotated[str, typer.Argument(metavar="A", help=_MODEL)]
B = Annotated[str, typer.Argument(metavar="B", help=_MODEL)]
Source = Annotated[str, typer.Argument(metavar="SOURCE", help=_MODEL)]
Models = typer.Argument(metavar="SOURCE", help="Models, or folders of models.")
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Alpha = Annotated[float, typer.Option(help="Significance level of the whole result.")]
OF_SEED = typer.Option(help="Draws what is left to chance; recorded, so that it comes out again.")
Seed = Annotated[int, OF_SEED]
Workers = Annotated[int, typer.Option(help="Number of worker processes.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS", help="Address of a Dask scheduler, whose workers read the models."
    ),
]
Recursive = Annotated[
    bool,
    typer.Option("--recursive", help="Also find models two folders deep, such as ORG/NAME."),
]
RegistryFile = Annotated[
    Path | None,
    typer.Option(
        "--registry",
        metavar="FILE",
        envvar="WEIGHTKIN_REGISTRY",
        readable=False,  # what opens it says so, as where there is none
        help="Registry file. Without it, and without WEIGHTKIN_REGISTRY, check and tree use none;"
        " others have a default.",
    ),
]
OnlyEstimate = Annotated[
    bool, typer.Option("--estimate", help="Dry run: print how many bytes would be read.")
]
Controls = Annotated[
    Path | None,
    typer.Option(
        "--controls",
        metavar="FILE",
        readable=False,
        help="File of unrelated pairs (default: in your data folder).",
    ),
]
FullDigest = Annotated[
    bool, typer.Option("--full-digest", help="Also compute a digest of all bytes.")
]


def execution_of(workers: int, cluster: str | None, progress: Progress | None) -> Execution:
    """Where models are read."""
    from weightkin.compute import Execution

    return Execution(workers=workers, cluster=cluster, progress=progress)


def exclusive(**given: object) -> None:
    """Refuse options that exclude each other."""
    named = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if len(named) > 1:
        raise UsageError(f"{' and '.join(named)} exclude each other")


def print_estimate(record: Estimate, answer: Answer, *, as_json: bool) -> None:
    """Print what would be read; sources that cannot be read are named on standard error."""
    from weightkin.report.lists import estimate_lines

    if as_json:
        answer.text(record.to_json())
    else:
        answer.lines(estimate_lines(record), None)
    for skipped in record.skipped:
        answer.error(why(skipped))
    if record.incomplete:
        raise typer.Exit(EXIT_INCOMPLETE)


def registry_is_default(context: typer.Context) -> bool:
    """Whether the environment or the settings name the registry, and not the command line."""
    source = context.get_parameter_source("registry")
    return source is not None and source.name in ("ENVIRONMENT", "DEFAULT_MAP")
