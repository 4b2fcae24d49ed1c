"""Claim: token views are those of the definition, are small, and say why they are absent."""

import json

import numpy as np
import pytest

from tests import models
from tests.sketch.test_file import SMALL, joined, split_in_two
from weightkin.errors import UnreadableModel
from weightkin.formats import model_from_arrays
from weightkin.sketch import Scheme, read_sketch, take_sketch, write_sketch
from weightkin.sketch.file import sketch_bytes
from weightkin.sketch.scheme import hashed
from weightkin.sketch.source import open_model
from weightkin.sketch.token_views import N_PRODUCTS, signs
from weightkin.sketch.tokens import N_TOKENS, choose_tokens, shared
from weightkin.stats.matching import centred

CONFIG = models.CONFIG


def views_of(arrays, config=CONFIG):
    return take_sketch(model_from_arrays(arrays, config=config)).views


def wide(rng, n_tokens=300):
    """A model with so many tokens, and gains."""
    arrays = models.base(rng, hidden=64)
    for name, x in arrays.items():
        if "layernorm" in name:
            arrays[name] = rng.uniform(0.5, 2, x.shape).astype(np.float32)
        if name in ("model.embed_tokens.weight", "lm_head.weight"):
            arrays[name] = rng.standard_normal((n_tokens, x.shape[1]), dtype=np.float32)
    return arrays


def test_signs_are_those_of_the_hash():
    for view, side in ((0, 0), (0, 1), (1, 0), (1, 1)):
        found = signs(view, side, 7)
        for k, t in ((0, 0), (3, 6), (255, 2)):
            number = ((k + N_PRODUCTS * (2 * view + side)) << 20) + t
            assert found[k, t] == (1 if int(hashed(np.array([number]))[0]) >> 63 else -1)


def test_units_are_gate_and_up_through_tokens(rng):
    arrays = wide(rng)
    views = views_of(arrays)
    rows = arrays["model.embed_tokens.weight"][views.tokens.rows[:128]].astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for i, (stack, block) in enumerate(views.units.blocks):
        assert stack == "decoder"
        for k, role in enumerate(("gate", "up")):
            layer = f"model.layers.{block}."
            gain = arrays[f"{layer}post_attention_layernorm.weight"]
            x = (arrays[f"{layer}mlp.{role}_proj.weight"][:48] * gain) @ rows.T
            x = centred(x.astype(np.float64))
            atol = np.abs(x).max(axis=1, keepdims=True) / 250
            assert (np.abs(x - views.units.values[i, k]) < atol).all()


def test_heads_are_products_of_what_they_read(rng):
    arrays = wide(rng)
    views = views_of(arrays)
    n = len(views.tokens.rows)
    rows = arrays["model.embed_tokens.weight"][views.tokens.rows].astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    size = (
        arrays["model.layers.0.self_attn.q_proj.weight"].shape[0] // CONFIG["num_attention_heads"]
    )
    for i, (_, block) in enumerate(views.heads.blocks):
        for k, role in enumerate("vk"):
            layer = f"model.layers.{block}."
            gain = arrays[f"{layer}input_layernorm.weight"]
            x = rows @ (arrays[f"{layer}self_attn.{role}_proj.weight"][:size] * gain).T
            x -= x.mean(axis=0)
            reads = x @ np.linalg.pinv(x)  # the projection
            a, b = signs(k, 0, n), signs(k, 1, n)
            expected = [a[j] @ reads @ b[j] - size / n * a[j] @ b[j] for j in range(N_PRODUCTS)]
            scale = np.abs(expected).max()
            np.testing.assert_allclose(views.heads.values[i, k], expected, atol=scale / 250)


def test_what_is_absent_says_why(rng):
    arrays = wide(rng)
    without = {k: x for k, x in arrays.items() if "embed" not in k and "lm_head" not in k}
    assert (views_of(without).units, views_of(without).heads) == ("no-embedding",) * 2
    few = views_of(wide(rng, 12))
    assert (len(few.tokens.rows), few.units.stored.shape[-1], few.heads) == (8, 8, "few-tokens")
    plain = {k: x for k, x in arrays.items() if "gate_proj" not in k}
    assert views_of(plain).units == "no-mlp-in-both"
    for name in arrays:
        if "v_proj" in name or "up_proj" in name:
            arrays[name] = np.full_like(arrays[name], np.nan)
    assert (views_of(arrays).units, views_of(arrays).heads) == ("no-view-read",) * 2


def test_a_head_that_reads_nothing_has_no_subspace(rng):
    arrays = wide(rng)
    arrays["model.layers.1.self_attn.k_proj.weight"][:] = 0
    assert [block for _, block in views_of(arrays).heads.blocks] == [0, 2, 3]


def test_tokens_are_plain_texts_where_texts_are_known(tmp_path, rng):
    plain = [
        f"{space}{x}{y}" for space in ("", "\u0120") for x in "abcdefghij" for y in "klmnopqrs"
    ]
    words = {w: i for i, w in enumerate([*plain, "Word", "<s>", "the"])}
    chosen = choose_tokens(words, 400)
    assert sorted(chosen.rows) == list(range(180))
    assert choose_tokens(words, 100).rows.tolist() == choose_tokens({}, 100).rows.tolist()
    other = {w.replace("\u0120", "\u2581"): 500 - i for w, i in words.items()}
    again = choose_tokens(other | {f"n{i}": i for i in range(300)}, 501)
    assert np.array_equal(again.texts, chosen.texts)
    at, there = shared(chosen, again)
    assert len(at) == 128  # what units are seen through
    assert (at == there).all()
    assert np.array_equal(again.rows, 500 - chosen.rows)
    assert not len(shared(chosen, choose_tokens({}, 400))[0])
    folder = models.write(tmp_path / "m", wide(rng))
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": words}}))
    assert sorted(take_sketch(open_model(folder)).views.tokens.rows) == list(range(180))


@pytest.mark.parametrize(("before", "after"), [(512, 544), (32000, 32064), (50257, 151936)])
def test_a_table_that_grew_keeps_its_tokens(before, after):
    small, large = choose_tokens({}, before), choose_tokens({}, after)
    assert np.array_equal(small.rows, large.rows)
    assert len(set(small.rows)) == N_TOKENS
    assert small.rows.max() < min(before, 4096)


def test_views_come_back_from_their_file(rng, tmp_path):
    sketch = take_sketch(model_from_arrays(wide(rng), config=CONFIG))
    write_sketch(sketch, tmp_path / "x")
    one, two = sketch.views, read_sketch(tmp_path / "x").views
    assert np.array_equal(one.tokens.rows, two.tokens.rows)
    for x, y in ((one.units, two.units), (one.heads, two.heads)):
        assert x.blocks == y.blocks
        assert np.array_equal(x.stored, y.stored)
        assert np.array_equal(x.scales, y.scales)


def test_a_file_without_views_is_read_and_written_as_before(rng, tmp_path):
    sketch = take_sketch(model_from_arrays(wide(rng)), Scheme(has_views=False))
    data = sketch_bytes(sketch)
    (tmp_path / "x").write_bytes(data)
    again = read_sketch(tmp_path / "x")
    assert (again.views, again.scheme.name) == (None, "ws1-r48-s16-c96-t64x32")
    assert sketch_bytes(again) == data


def test_a_scheme_to_come_is_refused_in_one_line(rng, tmp_path):
    data = sketch_bytes(take_sketch(model_from_arrays(wide(rng))))
    (tmp_path / "x").write_bytes(data.replace(b"ws2-r48", b"ws3-r48"))
    with pytest.raises(UnreadableModel, match="ws3-r48") as error:
        read_sketch(tmp_path / "x")
    assert str(error.value).isprintable()


BLOCKS = [["decoder", i] for i in range(4)]


@pytest.mark.parametrize(
    "views",
    [
        {"units": [*BLOCKS, ["decoder", 4]], "heads": BLOCKS},
        {"units": [["decoder", 0]] * 4, "heads": BLOCKS},
        {"units": BLOCKS[::-1], "heads": BLOCKS},
        {"units": [["x", i] for i in range(10**5)], "heads": BLOCKS},
        {"units": "because", "heads": BLOCKS},
        {"units": "no-mlp-in-both", "heads": BLOCKS},  # and its tensors are left over
        {"units": [[1, "decoder"]] * 4, "heads": BLOCKS},
        {"units": {}, "heads": BLOCKS},
        {"units": BLOCKS},
        [],
    ],
)
def test_views_that_state_anything_else_are_refused(rng, tmp_path, views):
    header, rest = split_in_two(
        sketch_bytes(take_sketch(model_from_arrays(wide(rng), config=CONFIG)))
    )
    header["__metadata__"]["views"] = json.dumps(views)
    (tmp_path / "x").write_bytes(joined(header, rest))
    with pytest.raises(UnreadableModel):
        read_sketch(tmp_path / "x")


@pytest.mark.parametrize("key", ["tokens", "units", "units-scales", "heads", "heads-scales"])
@pytest.mark.parametrize("shape", [[2**40, 2, 48, 128], [4, 2, 48, 2**50], [1], [], [0]])
def test_views_of_any_other_size_are_refused(rng, tmp_path, key, shape):
    header, rest = split_in_two(
        sketch_bytes(take_sketch(model_from_arrays(wide(rng), config=CONFIG)))
    )
    header[f"views/{key}"]["shape"] = shape
    (tmp_path / "x").write_bytes(joined(header, rest))
    with pytest.raises(UnreadableModel):
        read_sketch(tmp_path / "x")


def test_scales_and_tokens_that_make_no_sense_are_refused(rng, tmp_path):
    sketch = take_sketch(model_from_arrays(wide(rng), config=CONFIG), SMALL)
    for damaged in (sketch.views.units.scales, sketch.views.heads.scales, sketch.views.tokens.rows):
        was = damaged.copy()
        damaged[...] = np.nan if damaged.dtype.kind == "f" else 3
        (tmp_path / "x").write_bytes(sketch_bytes(sketch))
        with pytest.raises(UnreadableModel, match="token views"):
            read_sketch(tmp_path / "x")
        damaged[...] = was
