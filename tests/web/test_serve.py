"""Claim: the command line of `serve` says what is wrong in one line, with the exit code for it."""

import sys

import pytest
from typer.testing import CliRunner

from weightkin.cli.main import app
from weightkin.errors import UnusableRegistry, UsageError


def failed(*words):
    return CliRunner().invoke(app, ["serve", *words]).exception


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    for name in [x for x in sys.modules if x.startswith("weightkin.web")]:
        monkeypatch.delitem(sys.modules, name)
    error = failed()
    assert isinstance(error, UsageError)
    assert "pip install 'weightkin[web]'" in str(error)


@pytest.mark.parametrize("words", [("--port", "99999"), ("--workers", "0")])
def test_numbers_that_cannot_be_meant_are_refused(words):
    assert isinstance(failed(*words), UsageError)


def test_a_registry_that_is_not_there_is_said(tmp_path):
    error = failed("--registry", str(tmp_path / "none"))
    assert isinstance(error, UnusableRegistry)
    assert "no such registry" in str(error)


def test_an_address_that_is_not_ours_is_said(filled):
    error = failed("--registry", str(filled), "--host", "192.0.2.1")
    assert isinstance(error, UsageError)
    assert "cannot listen on this address" in str(error)
