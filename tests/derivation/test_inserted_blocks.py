"""Claim: blocks that write nothing are named as inserted, in the model that has them."""

from functools import partial

import pytest

from tests.lineage.simulated import BLOCKS, CONFIG, base
from weightkin import evasions
from weightkin.anatomy import read_anatomy
from weightkin.api.compare import compare
from weightkin.derivation.silent_blocks import silent_blocks
from weightkin.formats import model_from_arrays
from weightkin.sketch import take_sketch
from weightkin.sketch.scheme import Scheme

WRITERS = ("self_attn.o_proj", "mlp.down_proj")


def model(arrays, n_blocks):
    return model_from_arrays(arrays, config={**CONFIG, "num_hidden_layers": n_blocks})


def inserted(arrays, rng, before, size=0.0):
    anatomy = read_anatomy(model(arrays, BLOCKS))
    found = evasions.insert_blocks(arrays, anatomy, rng, before=before, size=size)
    return model(found.arrays, BLOCKS + len(before))


def copied(arrays, block):
    """The block once more behind itself, with writers of zero, as LLaMA-Pro begins."""
    out = {}
    for name, x in arrays.items():
        if ".layers." not in name:
            out[name] = x
            continue
        head, number, rest = name.partition(".layers.")[0], *name.split(".layers.")[1].split(".", 1)
        old = int(number)
        out[f"{head}.layers.{old + (old > block)}.{rest}"] = x
        if old == block:
            is_writer = any(w in rest for w in WRITERS)
            out[f"{head}.layers.{block + 1}.{rest}"] = 0 * x if is_writer else x
    return model(out, BLOCKS + 1)


@pytest.mark.parametrize(
    ("make", "blocks"),
    [
        (partial(inserted, before=(0,)), [0]),
        (partial(inserted, before=(1, 3)), [1, 4]),
        (partial(inserted, before=(2,), size=1e-5), [2]),
        (lambda arrays, rng: copied(arrays, 1), [2]),
    ],
    ids=["front", "two", "nearly", "copied"],
)
def test_inserted_blocks_are_named_and_make_the_child(rng, make, blocks):
    arrays = base(rng)
    before, after = model(arrays, BLOCKS), make(arrays, rng)
    for a, b, parent in ((before, after, "a"), (after, before, "b")):
        record = compare(a, b)
        assert record.kind == ("blocks-inserted",)
        assert record.kind_details["inserted"] == blocks
        assert record.direction.parent == parent


def test_a_model_of_fewer_blocks_is_pruned_if_the_others_write(rng):
    arrays = base(rng)
    after = inserted(arrays, rng, (0,), size=1.0)
    record = compare(model(arrays, BLOCKS), after)
    assert "blocks-inserted" not in record.kind
    assert "depth-pruned" in record.kind


def test_a_block_of_which_half_writes_is_not_silent(rng):
    arrays = base(rng)
    for name in WRITERS:
        quiet = {k: 0 * x if f".1.{name}" in k else x for k, x in arrays.items()}
        assert not silent_blocks(take_sketch(model(quiet, BLOCKS), Scheme.whole()))
    both = {k: 0 * x if any(f".1.{w}" in k for w in WRITERS) else x for k, x in arrays.items()}
    assert silent_blocks(take_sketch(model(both, BLOCKS), Scheme.whole())) == {("decoder", 1)}
    nothing = {k: 0 * x if any(w in k for w in WRITERS) else x for k, x in arrays.items()}
    assert not silent_blocks(take_sketch(model(nothing, BLOCKS), Scheme.whole()))
