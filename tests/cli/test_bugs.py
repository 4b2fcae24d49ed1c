"""Claim: a bug exits with 2 and keeps its traceback; what an input runs out of is one line."""

import subprocess
import sys

import pytest

BROKEN = """
import sys
import weightkin.{module} as module
def broken(*args, **options):
    raise {error}
module.{name} = broken
sys.argv[1:] = {words!r}
from weightkin.cli.main import main
main()
"""
COMMANDS = {
    "show": ("sketch.source", "open_model", ["show", "x"]),
    "compare": ("api.compare", "compare", ["compare", "x", "y"]),
    "fail-if": ("api.compare", "compare", ["compare", "x", "y", "--fail-if", "dependent"]),
    "locate": ("api.locate", "locate", ["locate", "x", "y"]),
    "check": ("policy", "check", ["check", "x", "--deny", "y"]),
    "verify": ("records.reading", "read_record", ["verify", __file__]),
    "search": ("registry", "Registry", ["search", "x"]),
    "serve": ("web.serving", "serve", ["serve"]),
}


def run(module, name, words, error):
    code = BROKEN.format(module=module, name=name, words=words, error=error)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bug_is_never_a_hit(command):
    done = run(*COMMANDS[command], "KeyError('a bug')")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("weightkin: this is a bug in weightkin")


@pytest.mark.parametrize("error", ["MemoryError()", "RecursionError('x')"])
def test_an_input_that_is_too_much_is_one_line(error):
    done = run(*COMMANDS["show"], error)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_package_that_cannot_be_loaded_is_no_hit():
    code = "import sys; sys.modules['typer'] = None\nfrom weightkin.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "weightkin: cannot be started (ModuleNotFoundError)"
