"""Claim: a record says of each block how large it is, how much of it is equal and what changed."""

from dataclasses import replace

import numpy as np
import pytest

from tests import models
from weightkin import compare, verify
from weightkin.records import Comparison
from weightkin.report.block_rows import block_rows, rows_caption
from weightkin.report.html import page


@pytest.fixture
def arrays(rng):
    base = models.base(rng)
    return base | {"model.norm.weight": np.ones(8, np.float32)}


def sizes(arrays, words):
    return sum(x.size for name, x in arrays.items() if words in name)


def test_every_parameter_stands_in_one_block_and_the_changed_roles_are_named(arrays, rng):
    name = "model.layers.1.mlp.up_proj.weight"
    child = arrays | {name: arrays[name] + rng.normal(0, 0.01, arrays[name].shape).astype("f4")}
    record = compare(arrays, child)
    found = {x.block_a: x for x in record.blocks}
    assert sum(x.n_parameters for x in record.blocks) == sum(x.size for x in arrays.values())
    assert sum(x.share for x in record.blocks) == pytest.approx(1.0, abs=1e-4)
    stack = record.layers[0].block_a.rpartition(".")[0]
    changed = found.pop(f"{stack}.1")
    assert changed.n_parameters == sizes(arrays, "layers.1.")
    assert changed.changed == ("mlp.up",)
    own = sizes(arrays, "layers.1.")
    assert changed.share_equal == pytest.approx(1 - arrays[name].size / own, abs=1e-5)
    assert all(x.share_equal == 1.0 and not x.changed for x in found.values())
    assert Comparison.from_json(record.to_json()).blocks == record.blocks


def test_dropped_and_moved_blocks_are_beside_what_they_are_in_the_other_model(rng):
    arrays = models.base(rng)
    n = len({name.split(".")[2] for name in arrays if "layers." in name})
    shorter = models.keep_blocks(arrays, [0, *range(2, n)])
    for pair, alone in (((arrays, shorter), "not in b"), ((shorter, arrays), "only in b")):
        rows = {x.name: x for x in block_rows(compare(*pair))}
        moved = [x for name, x in rows.items() if "→" in name]
        assert len(moved) == n - 2
        assert {(x.changed, x.equal, x.cosine) for x in moved} == {("its place", "100 %", "1.00")}
        (single,) = [x for x in rows.values() if x.changed == alone]
        assert single.name.endswith(".1")
        assert (single.equal, single.cosine) == ("", "")


def test_unrelated_models_have_no_such_table(rng):
    record = compare(models.base(rng), models.base(rng))
    assert not record.blocks
    assert "Differences by block" not in page(record)


def test_a_disguise_is_said_above_the_rows(rng):
    arrays = models.base(rng)
    order = rng.permutation(len(arrays["model.layers.0.mlp.up_proj.weight"]))
    record = compare(arrays, models.map_units(models.child(arrays, rng), 0, order))
    assert "permuted" in rows_caption(replace(record, kind=("permuted",)))
    assert "as stored" not in rows_caption(replace(record, kind=("fine-tuned",)))


def test_records_of_before_are_shown_and_verified_without_sizes(rng, tmp_path):
    arrays = models.base(rng)
    pair = [
        models.write(tmp_path / n, x) for n, x in (("a", arrays), ("b", models.child(arrays, rng)))
    ]
    record = replace(compare(*pair), blocks=())
    assert record.layers
    assert block_rows(record) == []  # the picture has cosines, and nothing else is known
    assert "Differences by block" not in page(record)
    assert verify(record) == []
    wrong = replace(compare(*pair).blocks[0], n_parameters=1)
    assert any("blocks" in x for x in verify(replace(record, blocks=(wrong,))))
