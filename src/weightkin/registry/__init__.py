"""The registry: many models in one file, found again by their weights.

`store` is the file (SQLite, WAL) and its tables; `blocks` the flat vectors beside it; `prepared`
turns a source into what is kept; `entries` writes and removes what is sealed (`sealing`, `sealed`),
`adding` puts many in, as a job that can be resumed; `searching` compares what vectors propose,
`placing` and `family` say where a model hangs; `edges` are remembered comparisons;
`transfer_archive` exports and imports; `registry` is `Registry`, which joins them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weightkin.registry.registry import Registry

__all__ = ["Registry"]


def __getattr__(name: str) -> Any:
    """`Registry`, on first use: what only lists models needs none of what it is made of."""
    if name != "Registry":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from weightkin.registry.registry import Registry

    return Registry


def __dir__() -> list[str]:
    return sorted(__all__)
