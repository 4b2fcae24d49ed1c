"""Claim: no record with a changed field is verified, and none is a traceback."""

import json
import random

import numpy as np
import pytest

import weightkin
from tests.lineage.simulated import base, trained_on
from tests.registry.conftest import write
from weightkin.api.verify import verify
from weightkin.errors import WeightkinError
from weightkin.records.reading import read_record

ODD = (None, True, 0, -1, 10**15, 0.25, 1e308, "", "x", "\ud800", "a\0b", [], {}, [1], {"a": 1},
       "no-evidence", "identical", "b", "determined")  # fmt: skip
FREE = {"seconds", "bytes_read", "version", "seed"}  # say nothing about the models


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(4)
    root = base(rng)
    write(folder / "root", root)
    write(folder / "child", trained_on(root, rng))
    pair = folder / "root", folder / "child"
    found = weightkin.compare(*pair), weightkin.locate(*pair), weightkin.family_graph(pair)
    return [json.loads(record.to_json()) for record in found]


def outcome(data):
    """What `verify` says: the number of differences, or the line of a refusal."""
    text = data if isinstance(data, str) else json.dumps(data)
    try:
        return len(verify(read_record(text)))
    except WeightkinError as error:
        line, code = str(error), error.exit_code
    assert "\n" not in line
    assert len(line) < 2000
    assert code in (2, 3, 4)
    return line


def places(value, path=()):
    if path:
        yield path
    inner = {}
    if isinstance(value, dict | list):
        inner = dict(value if isinstance(value, dict) else enumerate(value))
    for key, x in inner.items():
        yield from places(x, (*path, key))


def changed(data, path, value):
    """A copy with another value at a path."""
    data = json.loads(json.dumps(data))
    at = data
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return data


def test_records_are_the_same_again(records):
    assert [outcome(data) for data in records] == [0, 0, 0]


@pytest.mark.parametrize("seed", range(40))
def test_a_changed_field_is_noticed(records, seed):
    rng = random.Random(seed)
    data = rng.choice(records)
    path = rng.choice([p for p in places(data) if p[0] not in FREE and p[-1] != "registered"])
    old = data
    for key in path:
        old = old[key]
    new = rng.choice([x for x in ODD if x != old and x is not old])
    if new is None:  # left out, as a record leaves out what is none
        return
    assert outcome(changed(data, path, new))


STATED = {
    0: {("verdict",): "no-evidence", ("basis",): "calibrated", ("log10_pvalue",): -1.0,
        ("kind",): ["identical"], ("direction", "parent"): "b", ("direction", "probability"): 0.2,
        ("a", "full_digest"): "wkfull1-" + "0" * 64, ("a", "revision"): "0" * 40,
        ("tests", 0, "n_units"): 41, ("axes", 0, "passes"): 1, ("incomplete",): True,
        ("parts",): [], ("parameters", "published"): 1 << 40, ("parameters", "quick"): 1,
        ("parameters", "controls"): "/dev/zero", ("alpha",): 2.0, ("seed",): -1},
    1: {("n_hypotheses",): 1, ("is_monotone",): False, ("layers",): [], ("alpha",): 0.0,
        ("unit_maps", 0, "share_kept"): 0.5, ("a", "digest"): "wk1-" + "0" * 64},
    2: {("edges", 0, "parent"): "child", ("edges", 0, "kind"): "pruned", ("edges",): [],
        ("nodes", 0, "name"): "other", ("nodes", 0, "digest"): "wk1-0", ("method",): "x" * 9000,
        ("alpha",): 7, ("components",): [["root", "child"], []]},
}  # fmt: skip


CHANGES = [(k, path) for k, paths in STATED.items() for path in paths]


@pytest.mark.parametrize(("k", "path"), CHANGES)
def test_everything_that_is_stated_is_compared(records, k, path):
    assert outcome(changed(records[k], path, STATED[k][path]))


@pytest.mark.parametrize("k", range(3))
def test_what_is_not_known_is_not_verified(records, k):
    assert "unknown to this version" in outcome({**records[k], "stolen": True})
    assert "missing" in outcome({x: y for x, y in records[k].items() if x != "alpha"})
    other = records[k]["schema"][:-1] + "3"
    assert "schema is" in outcome({**records[k], "schema": other})


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{" * 100_000, "[" * 100_000, '{"schema": NaN}', '{"schema": 1e999}',
     '{"schema": ' + "9" * 5000 + "}", '{"schema": "x", "schema": "y"}', "\ud800"],
)  # fmt: skip
def test_what_is_no_record_is_one_line(text):
    assert isinstance(outcome(text), str)


def test_a_name_twice_is_refused(records):
    text = json.dumps(records[0])
    twice = '{"verdict": "no-evidence", ' + text[1:]
    assert "a name is repeated" in outcome(twice)


def test_a_deep_value_is_refused(records):
    deep = []
    for _ in range(200):
        deep = [deep]
    assert "nested" in outcome(changed(records[0], ("kind_details",), {"x": deep}))
