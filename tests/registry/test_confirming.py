"""Claim: what a registry states as exact rests on units drawn for it, and comes out again."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.commands import command
from tests.policy.test_secret import CONFIG, MLP, tuned, wide
from tests.registry.conftest import write
from weightkin import Registry
from weightkin.records.form import written
from weightkin.registry.edges import EDGE_COLUMNS, edge_evidence, write_edges
from weightkin.registry.store import opened, writing
from weightkin.sketch import Scheme


def planted(root, rng):
    """Another model that has the units of which a sketch holds the rows, and no others."""
    arrays, n = wide(rng), Scheme().n_rows
    for name in MLP:
        at = (slice(None), slice(n)) if "down" in name else slice(n)
        arrays[name][at] = root[name][at]
    return arrays


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A registry that holds a root as a sample, a child of it, and one made to match the sample."""
    folder = tmp_path_factory.mktemp("confirming")
    rng = np.random.default_rng(5)
    root = wide(rng)
    write(folder / "root", root, CONFIG)
    write(folder / "child", tuned(root, rng, MLP), CONFIG)
    write(folder / "planted", planted(root, rng), CONFIG)
    return folder


@pytest.fixture
def registry(home, tmp_path, monkeypatch):
    monkeypatch.setattr("weightkin.registry.prepared.WHOLE_UP_TO", 0)
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([home / "root", home / "child"])
    return registry


def relative(registry, source):
    (found,) = registry.search(source).relatives
    return found


@pytest.mark.claim("registry-fresh")
def test_a_relation_on_sketches_has_a_fresh_run_beside_it(registry):
    found = relative(registry, "#2")
    assert (found.verdict, found.basis, found.looked_at) == ("dependent", "exact", "sketch")
    assert found.summary.fresh.log10_pvalue < -6
    assert (found.summary.fresh.challenge.drawn, found.summary.fresh.effort) == ("own", "quick")
    assert relative(registry, "#2").summary.fresh == found.summary.fresh  # it is kept
    assert registry.verify(edges=True) == ()


@pytest.mark.claim("registry-fresh")
def test_rows_that_were_made_to_match_the_sketch_are_no_relation(home, registry):
    found = registry.search(home / "planted")
    on_sketch = [x for x in (*found.relatives, *found.others) if x.model.name == "root"]
    assert [(x.looked_at, x.summary.fresh.effort) for x in on_sketch] == [("weights", "standard")]
    assert on_sketch[0].verdict != "dependent"


def test_what_cannot_be_looked_at_again_is_said(home, registry):
    away = (home / "root").rename(home / "away")
    try:
        found = relative(registry, "#2")
        assert (found.verdict, found.summary.fresh.why_not.code) == ("dependent", "unread")
    finally:
        away.rename(home / "root")


@pytest.mark.claim("registry-fresh")
def test_a_fresh_run_that_comes_out_otherwise_is_found(home, registry):
    relative(registry, "#2")
    with opened(registry.path, to_write=True) as connection:
        row = connection.execute(f"SELECT {EDGE_COLUMNS}, seal FROM edges").fetchone()
        known = edge_evidence(row)
        other = replace(known, fresh=replace(known.fresh, log10_pvalue=-1e4))
        with writing(connection):
            write_edges(connection, [(*row[:-2], json.dumps(written(other)))], over=True)
    assert [x.code for x in registry.verify(edges=True)] == ["edge-differs"]
    assert registry.verify() == ()
    away = (home / "root").rename(home / "away")
    try:
        done = command("verify", "--registry", registry.path, "--edges")
    finally:
        away.rename(home / "root")
    assert done.returncode == 2
    assert done.stdout.splitlines()[-1] == "everything is as it was written; not recomputed: 1"
