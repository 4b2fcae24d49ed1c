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
    Skipped,
    Test,
)

__all__ = [
    "AxisEvidence",
    "BlockRelation",
    "Calibration",
    "Comparison",
    "Direction",
    "Effect",
    "Effort",
    "Equal",
    "ModelRef",
    "Part",
    "Skipped",
    "Test",
]
