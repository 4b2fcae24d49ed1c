"""Claim: attention is called made anew only where its heads were compared, or cannot be rebased."""

from unittest.mock import Mock

import numpy as np
import pytest

from tests.lineage.simulated import CONFIG, base
from weightkin import family_graph
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.side import Side
from weightkin.api.compare import compare
from weightkin.derivation.head_bases import axes_of_heads, bytes_of_heads, look_at_heads
from weightkin.derivation.streams import Residual
from weightkin.errors import UsageError
from weightkin.evidence.block_pairs import pair_axes
from weightkin.formats import model_from_arrays
from weightkin.sketch import Scheme, take_sketch
from weightkin.sketch.stand_in import stand_in

WIDTH, HEADS = 32, 4
LLAMA = "model.layers.{}.self_attn.{}_proj.weight"


def side(arrays):
    model = model_from_arrays(arrays, config=CONFIG)
    return Side(model, read_anatomy(model))


def rebased(arrays, rng, blocks, parts=("v", "o")):
    """Another orthogonal basis of each head, in some blocks."""
    found = dict(arrays)
    for block in blocks:
        turns = np.linalg.qr(rng.normal(size=(HEADS, WIDTH // HEADS, WIDTH // HEADS)))[0]
        for part in parts:
            x = arrays[LLAMA.format(block, part)]
            rows = (x.T if part == "o" else x).reshape(HEADS, -1, WIDTH)
            turned = (turns @ rows).reshape(WIDTH, WIDTH).astype(np.float32)
            found[LLAMA.format(block, part)] = turned.T.copy() if part == "o" else turned
    return found


def nano(arrays):
    """The same values under names of nanoGPT: queries, keys and values in one matrix."""
    found = {"transformer.wte.weight": arrays["model.embed_tokens.weight"]}
    found["lm_head.weight"] = arrays["lm_head.weight"]
    for block in range(3):
        at, own = f"transformer.h.{block}", f"model.layers.{block}"
        qkv = [arrays[LLAMA.format(block, part)] for part in "qkv"]
        found[f"{at}.attn.c_attn.weight"] = np.concatenate(qkv)
        found[f"{at}.attn.c_proj.weight"] = arrays[LLAMA.format(block, "o")]
        found[f"{at}.mlp.c_fc.weight"] = arrays[f"{own}.mlp.up_proj.weight"]
        found[f"{at}.mlp.c_proj.weight"] = arrays[f"{own}.mlp.down_proj.weight"]
        for name in ("ln_1", "ln_2"):
            found[f"{at}.{name}.weight"] = np.ones(WIDTH, np.float32)
    return found | {"transformer.ln_f.weight": np.ones(WIDTH, np.float32)}


def unread(record):
    return [x.data["n"] for x in record.direction.evidence if x.code == "heads-not-looked-at"]


@pytest.mark.parametrize(("parts", "n"), [("vo", 3), ("qkvo", 6)])
def test_fused_heads_in_another_basis_are_not_made_anew(rng, parts, n):
    a = base(rng)
    b = rebased(a, rng, range(3), "vo")
    b = rebased(b, rng, range(3), "qk") if "q" in parts else b
    record = compare(*(model_from_arrays(nano(x)) for x in (a, b)))
    assert (record.verdict, record.kind) == ("dependent", ("unknown",))
    assert "reinitialised" not in record.kind_details
    assert unread(record) == [n]


def test_beside_fused_values_that_are_equal_an_output_was_made_anew(rng):
    a, other = base(rng), base(rng)
    b = {k: other[k] if "o_proj" in k else x for k, x in a.items()}
    record = compare(*(model_from_arrays(nano(x)) for x in (a, b)))
    assert record.kind == ("fine-tuned",)
    assert len(record.kind_details["reinitialised"]["names"]) == 3
    assert not unread(record)


def test_a_block_of_nothing_but_heads_is_no_other_models(rng):
    a = {k: x for k, x in base(rng).items() if ".0.mlp." not in k}
    b = rebased(rebased(a, rng, (0,)), rng, (0,), "qk")
    record = compare(*(stand_in(take_sketch(side(x).model, Scheme())) for x in (a, b)))
    assert (record.verdict, record.kind) == ("dependent", ("unknown",))
    assert unread(record) == [4]


@pytest.mark.parametrize(("anew", "named"), [((1,), 2), ((), 0)])
def test_of_blocks_that_were_not_read_nothing_is_said(rng, monkeypatch, anew, named):
    a, other = base(rng), base(rng)
    b = rebased(a, rng, (0, 2))
    for name in (LLAMA.format(block, part) for block in anew for part in "vo"):
        b[name] = other[name]
    one = bytes_of_heads(side(a), axes_of_heads(side(a))[0])
    monkeypatch.setattr("weightkin.derivation.disguise.MOST_BYTES_OF_HEADS", one + 1)
    record = compare(side(a).model, side(b).model)
    assert record.kind == (("fine-tuned",) if anew else ("unknown",))
    assert len(record.kind_details.get("reinitialised", {}).get("names", ())) == named
    assert unread(record) == [4]


def test_too_few_heads_for_a_name_are_not_made_anew(rng, monkeypatch):
    monkeypatch.setattr("weightkin.derivation.heads_looked.MIN_REBASED_SHARE", 0.5)
    a = base(rng)
    record = compare(side(a).model, side(rebased(a, rng, (0,))).model)
    assert record.kind == ("unknown",)
    assert unread(record) == [2]


def test_settled_are_heads_that_were_compared_and_stand_in_no_other_basis(rng):
    a = base(rng)
    b = rebased(a, rng, (0,))
    b[LLAMA.format(1, "v")][0, 0] = np.inf
    sides = side(a), side(b)
    axes = pair_axes(*map(axes_of_heads, sides), {})
    found = look_at_heads(*sides, axes, Residual())
    values = {(x.a, x.b) for x in found.settled if x.role in ("attn.v", "attn.o")}
    assert values == {(LLAMA.format(2, part),) * 2 for part in "vo"}
    assert {x.b for x in found.settled if x.role in ("attn.q", "attn.k")} == {
        LLAMA.format(block, part) for block in range(3) for part in "qk"
    }


def tuned(arrays, rng):
    return {
        k: np.float32(x + 0.3 * x.std() * rng.normal(size=x.shape) * (rng.random(x.shape) < 0.3))
        for k, x in arrays.items()
    }


def made_anew(members, rng, child, **options):
    """Matrices that the edge to a child calls made anew."""
    named = {"root": members, **{x: tuned(members, rng) for x in ("one", "two")}}
    named["child"] = tuned(child, rng)
    graph = family_graph([model_from_arrays(x, name=n, **options) for n, x in named.items()])
    (edge,) = (x for x in graph.edges if x.child == "child")
    assert (edge.parent, edge.kind) == ("root", "fine-tuned")
    return edge.kind_details.get("reinitialised", {}).get("names", [])


@pytest.mark.claim
def test_a_family_calls_nothing_made_anew_where_heads_are_fused(rng):
    root = base(rng)
    assert not made_anew(nano(root), rng, nano(rebased(root, rng, range(3))))


@pytest.mark.claim
@pytest.mark.parametrize(("error", "n"), [(None, 6), (UsageError("no way back"), 0)])
def test_a_family_calls_made_anew_what_it_compared(rng, monkeypatch, error, n):
    if error is not None:
        monkeypatch.setattr("weightkin.lineage.frame.way_back", Mock(side_effect=error))
    root, other = base(rng), base(rng)
    names = [LLAMA.format(block, part) for block in range(3) for part in "vo"]
    child = root | {k: other[k] for k in names}
    assert len(made_anew(root, rng, child, config=CONFIG)) == n
