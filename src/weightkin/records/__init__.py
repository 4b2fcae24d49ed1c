"""What leaves the library: frozen values with JSON in and out. The fields are a contract."""

from weightkin.records.comparison import (
    AxisEvidence,
    BlockRelation,
    Calibration,
    Comparison,
    Direction,
    Effect,
    Effort,
    Equal,
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
