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
from weightkin.records.notes import Clue, Skipped, clue, left_out, unread

__all__ = [
    "AxisEvidence",
    "BlockRelation",
    "Calibration",
    "Clue",
    "Comparison",
    "Direction",
    "Effect",
    "Effort",
    "Equal",
    "ModelRef",
    "Part",
    "Skipped",
    "Test",
    "clue",
    "left_out",
    "unread",
]
