"""Works that never end, or end badly: what a job may do at worst. Run in processes of their own."""

import os
import threading


def for_ever(kind, asked, say):
    """Say who works, and never finish."""
    say(f"process {os.getpid()}")
    threading.Event().wait()


def gone(kind, asked, say):
    """Leave without a word."""
    os._exit(7)


def large(kind, asked, say):
    """A record of far more than a pipe holds, after a word that it comes."""
    say("sending")
    return "x" * (1 << 21)


def raising(kind, asked, say):
    """A bug."""
    raise RuntimeError("a bug")
