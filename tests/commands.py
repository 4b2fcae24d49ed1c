"""Commands run in this process, without a second start of the interpreter, or in their own."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from dataclasses import dataclass

from typer.main import get_command

from weightkin.cli.main import CommandLineError, app
from weightkin.cli.settings import default_map
from weightkin.errors import WeightkinError


@dataclass(frozen=True)
class Done:
    """What a process would have left: exit code and both streams."""

    returncode: int
    stdout: str
    stderr: str


def command(*arguments):
    """Run one command as `weightkin.cli.main.main` does."""
    raw, err = io.BytesIO(), io.StringIO()
    out = io.TextIOWrapper(raw, encoding="utf-8", write_through=True)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            settings = default_map(get_command(app))
            given = [str(x) for x in arguments]
            code = app(given, standalone_mode=False, default_map=settings) or 0
        except CommandLineError as error:
            code, _ = 4, print(error, file=err)
        except WeightkinError as error:
            code, _ = error.exit_code, print(f"weightkin: {error}", file=err)
    return Done(code, raw.getvalue().decode("utf-8"), err.getvalue())


def run(*arguments, cwd=None):
    """Run one command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from weightkin.cli.main import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )
