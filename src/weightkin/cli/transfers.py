"""One line on a terminal while bytes come from a hub: how far, how long yet, or why it waits."""

from __future__ import annotations

import logging
import shutil
import sys

CLEAR = "\r\x1b[K"


class _OneLine(logging.Handler):
    """Writes each word over the one before; the last one of an errand leaves an empty line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Show a word of `weightkin.formats`, whose texts hold nothing that moves a cursor."""
        width = shutil.get_terminal_size().columns - 1
        is_last = getattr(record, "is_last", False)
        words = "" if is_last else record.getMessage()[:width]
        print(f"{CLEAR}{words}", end="", file=sys.stderr, flush=True)


def show_transfers() -> None:
    """Listen to what is said about hubs, where standard error is a terminal."""
    if not sys.stderr.isatty():
        return
    logger = logging.getLogger("weightkin.hub")
    if not any(isinstance(x, _OneLine) for x in logger.handlers):
        logger.addHandler(_OneLine())
    logger.setLevel(logging.INFO)
    logger.propagate = False
