"""Does the core work with the oldest dependencies that pyproject.toml allows?

    python -m benchmarks.claims.floors

builds a virtual environment of them in `build/floors` (kept until one of the versions changes),
runs three commands in it, and the tests that need no other package than pytest and hypothesis.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "floors"
PYTHON = HOME / "venv" / "bin" / "python"
WITH = ("pytest", "hypothesis")  # as constraints.txt has them
ZOO = tuple(f"zoo/models/{name}" for name in ("llama-a", "llama-a-ft1", "llama-b"))
COMMANDS = (
    ("compare", *ZOO[:2]),
    ("tree", *ZOO),
    ("check", ZOO[1], "--policy", "docs/policy.toml"),
)
TESTS = (
    *("tests/stats", "tests/sketch", "tests/registry/test_registry.py", "tests/test_compare.py"),
    *("tests/formats/test_safetensors_file.py", "tests/sources/test_hub.py"),
    *("tests/formats/test_rows.py", "tests/cli/test_sketch.py", "tests/evidence/test_pairs.py"),
)


def main() -> int:
    """Build, run, say what came out; the exit status is that of the tests."""
    print("\n".join(["Oldest dependencies:", *(f"  {x}" for x in floors())]), flush=True)
    build()
    for words in COMMANDS:
        done = _run("-m", "weightkin", *words)
        print(f"weightkin {words[0]}: exit {done}", flush=True)
        if done not in (0, 2):  # 2: the policy of the documents names a registry that is not here
            return 1
    return _run("-m", "pytest", "-p", "no:cacheprovider", "-m", "not claim", *TESTS)


def run() -> list[str]:
    """The text of the section."""
    code = main()
    said = "pass" if code == 0 else f"FAIL (exit {code})"
    commands = ", ".join(f"`{words[0]}`" for words in COMMANDS)
    return [f"With {', '.join(floors())}: {commands} run and the tests of the core {said}."]


def floors() -> list[str]:
    """Requirements of the core, each at the oldest version that it allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [text.replace(">=", "==") for text in project["dependencies"]]


def build() -> None:
    """Make the environment, if it is not there with these versions."""
    names = {_name(text) for text in floors()}
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    versions = "\n".join([*floors(), *(x for x in pinned if _name(x) not in names), ""])
    wanted = HOME / "constraints.txt"
    if wanted.exists() and wanted.read_text(encoding="utf-8") == versions:
        return
    HOME.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(HOME / "venv")], check=True)
    draft = HOME / "constraints.draft"
    draft.write_text(versions, encoding="utf-8")
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(draft), "-e", str(ROOT), *WITH], check=True)
    draft.replace(wanted)


def _name(requirement: str) -> str:
    return re.split("[=<>]", requirement)[0].lower().replace("_", "-")


def _run(*arguments: str) -> int:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    out = None if "pytest" in arguments else subprocess.DEVNULL
    command = [str(PYTHON), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=out, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
