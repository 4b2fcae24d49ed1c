"""Claim: where there is no registry, every command says so in one line and exits with code 3."""

import os
import sqlite3

import pytest

from tests.commands import command
from weightkin import Registry
from weightkin.errors import NoRegistry
from weightkin.registry.store import file_errors


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    (folder / "folder").mkdir()
    (folder / "empty").touch()
    with sqlite3.connect(folder / "other") as connection:
        connection.execute("CREATE TABLE t(x)")
    connection.close()
    (folder / "text").write_text("no database, and long enough to be looked at as one\n" * 40)
    os.mkfifo(folder / "pipe")
    return folder


WHY = {
    "missing": "no such registry; `weightkin add` makes one",
    "no/r.sqlite": "no such registry, and its folder does not exist",
    "folder": "not a registry (a folder, not a regular file)",
    "pipe": "not a registry (not a regular file)",
    "empty": "not a registry (an empty file)",
    "other": "not a registry (another database)",
    "text": "not a registry (file is not a database)",
}
COMMANDS = (
    ("list",),
    ("search", "x"),
    ("trace", "x"),
    ("descendants", "x"),
    ("remove", "x", "--yes"),
    ("export",),
    ("tree",),
    ("verify",),
    ("check", "MODEL"),
    ("check", "MODEL", "--deny", "MODEL"),
    ("serve",),
)


@pytest.mark.parametrize("verb", COMMANDS, ids=" ".join)
def test_a_command_says_why_there_is_no_registry(places, family, tmp_path, verb):
    for name, why in WHY.items():
        if verb == ("verify",) and name == "text":
            continue  # a registry whose beginning is damaged looks like this: a finding
        words = [str(family / "root") if x == "MODEL" else x for x in verb]
        words += [str(tmp_path / "file")] if verb == ("export",) else []
        before = sorted(places.iterdir()), (places / "empty").stat().st_size
        done = command(*words, "--registry", places / name)
        assert (done.returncode, done.stdout) == (3, ""), name
        assert done.stderr == f"weightkin: {places / name}: {why}\n"
        assert (sorted(places.iterdir()), (places / "empty").stat().st_size) == before


def test_what_may_not_be_read_is_told_as_such(tmp_path):
    for code, error in (
        (sqlite3.SQLITE_CANTOPEN, sqlite3.OperationalError("unable to open database file")),
        (0, PermissionError(13, "Permission denied", "r")),
    ):
        error.sqlite_errorcode = code
        with pytest.raises(NoRegistry, match="[Pp]ermission"), file_errors(tmp_path / "r"):
            raise error


def test_a_check_of_a_registry_that_may_not_be_read_has_no_result(family, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(tmp_path / "r.sqlite"))

    Registry(tmp_path / "r.sqlite").add([family / "root"])
    monkeypatch.setattr("weightkin.registry.store.connected", refuse)
    done = command("check", family / "root", "--registry", tmp_path / "r.sqlite")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"weightkin: {tmp_path}/r.sqlite: cannot be used (Permission denied)\n"
