"""Kinds of error and their exit codes. The words of an error stand where it is raised."""

import errno


class WeightkinError(Exception):
    """Base of all errors a caller can act on: the thing, what is wrong, and what to do."""

    exit_code = 3


class UnreadableModel(WeightkinError):
    """A source that is missing, empty, truncated, malformed or refused."""


class AdapterAlone(UnreadableModel):
    """A source that is an adapter, which can be read with its base alone."""


class OutOfReach(UnreadableModel):
    """A source elsewhere that another try may read: offline and not cached, or its server lost."""

    exit_code = 2


class WorkerLost(UnreadableModel):
    """A source that no worker finished: each was killed over it, or failed by a bug."""

    exit_code = 2


class UsageError(WeightkinError):
    """Arguments that cannot be meant."""

    exit_code = 4


class AmbiguousName(UsageError):
    """A name that several registered models have; ``numbers`` are theirs."""

    def __init__(self, message: str, numbers: tuple[int, ...]) -> None:
        super().__init__(message)
        self.numbers = numbers


class UnusableRegistry(WeightkinError):
    """A registry that is damaged, of a later version, or cannot be written."""


class NoRegistry(UnusableRegistry):
    """A place where there is no registry: nothing, something else, or what may not be read."""


class DiskFull(WeightkinError):
    """There is no room for what was to be written; what was there before is as it was."""

    exit_code = 2


def unwritable(where: object, error: OSError) -> WeightkinError:
    """Why something could not be written, and where."""
    what = f"{where}: cannot be written ({error.strerror})"
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return DiskFull(what) if is_full else UsageError(what)
