"""Claim: whatever a file holds, a command reads it whole, says what it did not read, or refuses it.

`make results` does the same for an hour. An input that broke a command stays under
`tests/fixtures/fuzz/found`, where every command of its kind is run on it.
"""

import json
import os
import random
import subprocess
import sys

import pytest
from benchmarks.fuzz.cases import (
    FOUND,
    HEAVY,
    LIGHT,
    ROOT,
    SEEDS,
    Mutant,
    copied,
    filled,
    of_target,
    seeds,
)
from benchmarks.fuzz.judge import Watch, run
from benchmarks.fuzz.mutate import mutated

from tests.conftest import commit
from weightkin.formats.table import read_formats

SECONDS = float(os.environ.get("FUZZ_SECONDS", "12"))
PINNED = [(target, path.name) for target in LIGHT for path in of_target(FOUND, target)]


@pytest.mark.parametrize("suffixes", [x.suffixes for x in read_formats() if x.suffixes], ids=str)
def test_every_format_that_is_read_has_a_seed(suffixes):
    files = (x for seed in seeds()["models"] for x in (seed, *seed.rglob("*")))
    assert any(path.name.endswith(suffixes) for path in files)


@pytest.mark.claim
def test_mutants_are_read_or_refused():
    command = [sys.executable, "-m", "benchmarks.fuzz.loop", str(SECONDS), "--seed", commit()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    total = json.loads(done.stdout.splitlines()[-1])
    assert total["faults"] == []
    assert sum(total["mutants"].values()) > 10


@pytest.fixture(scope="module")
def watch():
    return Watch()


@pytest.mark.parametrize(("target", "name"), PINNED)
def test_what_once_broke_a_command(tmp_path, monkeypatch, watch, target, name):
    monkeypatch.chdir(ROOT)
    for i, command in enumerate(dict.fromkeys(LIGHT[target] + HEAVY[target])):
        folder = tmp_path / str(i)
        source = copied(FOUND / target / name, folder)
        mutant = Mutant(target, name, source, filled(command, source, folder))
        assert run(mutant, folder, watch).faults == [], command


@pytest.mark.parametrize("path", sorted(x for x in SEEDS.rglob("*.*") if x.is_file()), ids=str)
def test_a_mutant_is_the_same_again_and_differs_from_its_seed(path):
    raw = path.read_bytes()[:40_000]
    made = [mutated(raw, random.Random(i)) for i in range(4)]
    assert made == [mutated(raw, random.Random(i)) for i in range(4)]
    assert any(x != raw for x in made)
