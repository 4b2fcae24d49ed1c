"""Work for processes that start often: nothing heavy is imported here."""

import os
import signal
import time
from pathlib import Path


def double(x):
    """Twice a number; some items end their worker, once or always."""
    if x == "killer":
        os.kill(os.getpid(), signal.SIGKILL)
    if x == "bug":
        raise TypeError("no number\nat all")
    if isinstance(x, Path):
        if not x.exists():
            x.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return "second time"
    if x == "slow":
        time.sleep(3600)
    return 2 * x


def touch(path):
    """Leave a trace."""
    path.touch()


def whoami(x):
    """Number of the process, or a long wait."""
    return double(x) or os.getpid()
