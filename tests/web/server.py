"""A server on a free port, as a process: ``python -m tests.web.server REGISTRY [for_ever]``."""

import sys
from pathlib import Path

from tests.web import slow
from weightkin.web.serving import serve

if __name__ == "__main__":
    works = {"work": slow.for_ever} if "for_ever" in sys.argv else {}
    serve(Path(sys.argv[1]), port=0, **works)
