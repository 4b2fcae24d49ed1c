"""Random families of really trained tiny models: the yardstick of the family graph.

`draw` says from a seed alone who is made from whom and how, `making` makes the weights so, `kept`
reads and writes families as files. ``python -m zoo.genealogies`` grows them.
"""

import sys
from pathlib import Path

_ZOO = str(Path(__file__).parents[1])
if _ZOO not in sys.path:
    sys.path.append(_ZOO)  # the zoo's own modules know each other by bare names
