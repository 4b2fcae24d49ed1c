"""``--format``: what other tools read."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

HELP = "Output format for other tools."


class PairFormat(StrEnum):
    """Formats of a comparison or a trace."""

    CYCLONEDX = "cyclonedx"
    IN_TOTO = "in-toto"
    MODEL_CARD = "model-card"


class GraphFormat(StrEnum):
    """Formats of a family graph."""

    DOT = "dot"
    MERMAID = "mermaid"
    GRAPHML = "graphml"
    GEXF = "gexf"
    NEWICK = "newick"


class CheckFormat(StrEnum):
    """Formats of a check."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    HTML = "html"
    SARIF = "sarif"


class AnyFormat(StrEnum):
    """Formats of some record."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"
    MARKDOWN = "markdown"
    JUNIT = "junit"

    CYCLONEDX = "cyclonedx"
    IN_TOTO = "in-toto"
    MODEL_CARD = "model-card"
    DOT = "dot"
    MERMAID = "mermaid"
    GRAPHML = "graphml"
    GEXF = "gexf"
    NEWICK = "newick"
    SARIF = "sarif"


PairFormatOption = Annotated[PairFormat | None, typer.Option("--format", help=HELP)]
GraphFormatOption = Annotated[GraphFormat | None, typer.Option("--format", help=HELP)]
CheckFormatOption = Annotated[CheckFormat, typer.Option("--format", help=HELP)]
AnyFormatOption = Annotated[AnyFormat | None, typer.Option("--format", help=HELP)]
