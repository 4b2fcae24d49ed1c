"""The gate: a model against a policy. Forbidden ancestors, declarations, licences."""

from weightkin.policy.checking import check
from weightkin.policy.reading import Policy, read_policy
from weightkin.policy.verifying import Rechecked, verify_check

__all__ = ["Policy", "Rechecked", "check", "read_policy", "verify_check"]


def __dir__() -> list[str]:
    return sorted(__all__)
