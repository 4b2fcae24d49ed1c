"""A plugin of pytest that writes which tests run which lines of the library.

`pytest -p benchmarks.lib.reached` writes into the file that ``REACHED`` names: for each file and
line of `weightkin` the tests that passed and ran it, and the seconds of each test.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import coverage
import pytest


class Recorder:
    """Runs coverage over one session, with a context for each test."""

    def __init__(self) -> None:
        spec = find_spec("weightkin")
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError("weightkin is not installed")
        self.source = Path(spec.origin).parent
        self.coverage = coverage.Coverage(
            source=[str(self.source)], data_file=None, config_file=False
        )
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()
        self.coverage.start()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Name what one test runs after it, and take its time."""
        self.coverage.switch_context(item.nodeid)
        started = time.perf_counter()
        yield
        self.seconds[item.nodeid] = time.perf_counter() - started

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Leave out whatever does not pass."""
        if not report.passed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write the tests of each line."""
        self.coverage.stop()
        data = self.coverage.get_data()
        passed = set(self.seconds) - self.failed
        files = {
            Path(path).relative_to(self.source).as_posix(): {
                line: sorted(passed.intersection(tests))
                for line, tests in data.contexts_by_lineno(path).items()
            }
            for path in data.measured_files()
        }
        answer = {"seconds": {test: self.seconds[test] for test in passed}, "files": files}
        Path(os.environ["REACHED"]).write_text(json.dumps(answer), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest as it starts."""
    config.pluginmanager.register(Recorder())
