"""The gate: a model against a policy. Forbidden ancestors, declarations, licences."""

from weightkin.policy.checking import check
from weightkin.policy.reading import Policy, read_policy

__all__ = ["Policy", "check", "read_policy"]
