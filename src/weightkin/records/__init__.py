"""What leaves the library: frozen values with JSON in and out. The fields are a contract.

One module for the record of each command; `kinds` and `codes` are the closed sets, without words
(those stand in `report`); `form` writes JSON, `built` and `reading` read it, `version1` translates
records of 0.1.0.
"""

from weightkin.records.accounting import Effort, Equal
from weightkin.records.comparison import Comparison
from weightkin.records.evidence import (
    AxisEvidence,
    BlockRelation,
    Calibration,
    Direction,
    Effect,
    ModelRef,
    Part,
    Test,
)
from weightkin.records.notes import (
    Because,
    Clue,
    Note,
    Skipped,
    because,
    clue,
    left_out,
    note,
    unread,
)

__all__ = [
    "AxisEvidence",
    "Because",
    "BlockRelation",
    "Calibration",
    "Clue",
    "Comparison",
    "Direction",
    "Effect",
    "Effort",
    "Equal",
    "ModelRef",
    "Note",
    "Part",
    "Skipped",
    "Test",
    "because",
    "clue",
    "left_out",
    "note",
    "unread",
]


def __dir__() -> list[str]:
    return sorted(__all__)
