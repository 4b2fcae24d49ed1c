"""What claims and tests share: models made in memory, tables, scores, and the run of claims."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def claim(name: str) -> ModuleType:
    """Module of a claim, for a test that runs a sample of it: ``claim("zoo_pairs")``."""
    return import_module(f"benchmarks.claims.{name}")


def generator(name: str) -> ModuleType:
    """Module of a program that makes what is measured, for a test of its plan."""
    return import_module(f"benchmarks.generate.{name}")
