"""The registry: many models in one file, found again by their weights.

`store` is the file (SQLite, WAL) and its tables; `blocks` the flat vectors beside it; `prepared`
turns a source into what is kept; `entries` writes and removes what is sealed (`sealing`, `sealed`),
`adding` puts many in, as a job that can be resumed; `searching` compares what vectors propose,
`placing` and `family` say where a model hangs; `edges` are remembered comparisons;
`transfer_archive` exports and imports; `registry` is `Registry`, which joins them.
"""

from typing import TYPE_CHECKING

from weightkin.on_demand import names_of

if TYPE_CHECKING:
    from weightkin.registry.registry import Registry

__all__ = ["Registry"]
__getattr__ = names_of(__name__, {"Registry": "registry"})


def __dir__() -> list[str]:
    return sorted(__all__)
