"""What can go wrong for the caller: one line each, with the exit code it becomes."""


class WeightkinError(Exception):
    """Base of all errors a caller can act on: the thing, what was found, what was expected."""

    exit_code = 3


class UnreadableModel(WeightkinError):
    """A source that is missing, empty, truncated, malformed or refused."""


class OutOfReach(UnreadableModel):
    """A source elsewhere that another try may read: offline and not cached, or its server lost."""

    exit_code = 2


class UsageError(WeightkinError):
    """Arguments that cannot be meant."""

    exit_code = 4


class UnusableRegistry(WeightkinError):
    """A registry that is damaged, of a later version, or cannot be written."""
