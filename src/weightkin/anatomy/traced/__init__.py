"""Models of library classes that were traced: from an entry of the catalogue to axes.

`matching` finds the pattern of every tensor, `sizes` solves for what shapes do not say directly,
`instance` writes the labels of every dimension, `guard` fixes what unknown tensors touch, `axes`
names what is free, and `reading` chooses the class.
"""

from weightkin.anatomy.traced.axes import reach
from weightkin.anatomy.traced.reading import TracedReading, better_anatomy, traced_reading

__all__ = ["TracedReading", "better_anatomy", "reach", "traced_reading"]
