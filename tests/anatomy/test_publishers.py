"""Claim: a model under its publisher's names, with its rows, is that of the library's class.

What is read of a file of the publisher's is what the library stores, tensor by tensor; both are one
model to `compare`, and their children are fine-tuned by the same distance.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.publishers import MEGATRON_LM, PUBLISHERS
from weightkin import compare, open_model
from weightkin.anatomy import read_anatomy
from weightkin.anatomy.translate import components_of
from weightkin.formats.row_order import Groups, Pairs

TURNED = {"mlp1": "gate_up_proj", "mlp2": "down_proj"}  # experts of GPT-OSS, (out, in)


def _arrays(publisher, seed=0):
    """The tensors of a small model as the library saves them."""
    torch, hf = (pytest.importorskip(x) for x in ("torch", "transformers"))
    config = getattr(hf, f"{publisher.class_name}Config")(**publisher.config)
    is_language = hasattr(hf, f"{publisher.class_name}ForCausalLM")
    name = f"{publisher.class_name}{'ForCausalLM' if is_language else 'Model'}"
    torch.manual_seed(seed)
    model = getattr(hf, name)(config)
    rng = np.random.default_rng(seed)
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    tied = tied if getattr(config, "tie_word_embeddings", not is_language) else set()
    state = {k: x.detach().numpy() for k, x in model.state_dict().items() if k not in tied}
    state = {
        k: x + 0.1 * rng.standard_normal(x.shape).astype(x.dtype) if x.ndim == 1 else x
        for k, x in state.items()
    }
    return _saved(state), json.loads(config.to_json_string())


def _saved(state):
    """Experts by themselves, as files have them; those of GPT-OSS, with biases, stay stacked."""
    if any(name.endswith("experts.down_proj_bias") for name in state):
        return state
    found = {}
    for name, x in state.items():
        if name.endswith("mlp.experts.gate_up_proj"):
            for i, both in enumerate(x):
                block = name.replace("mlp.experts.gate_up_proj", f"block_sparse_moe.experts.{i}")
                found[f"{block}.w1.weight"], found[f"{block}.w3.weight"] = np.split(both, 2)
        elif name.endswith("mlp.experts.down_proj"):
            for i, own in enumerate(x):
                block = name.replace("mlp.experts.down_proj", f"block_sparse_moe.experts.{i}")
                found[f"{block}.w2.weight"] = own
        elif name.endswith("mlp.gate.weight"):
            found[name.replace("mlp.gate", "block_sparse_moe.gate")] = x
        else:
            found[name] = x
    return found


def _child(arrays):
    """Changed more in some tensors than in others, as training does."""
    rng = np.random.default_rng(9)
    found = dict(arrays)
    for name, x in arrays.items():
        if x.ndim > 1:
            change = rng.uniform(0.01, 0.1) * x.std() * rng.standard_normal(x.shape)
            found[name] = (x + change).astype(x.dtype)
    return found


def _write(folder, arrays, beside=("", {})):
    folder.mkdir()
    kept = {k: np.ascontiguousarray(x) for k, x in arrays.items()}
    save_file(kept, folder / "model.safetensors")
    if beside[0]:
        (folder / beside[0]).write_text(json.dumps(beside[1]))
    return folder


@pytest.fixture(scope="module", params=PUBLISHERS)
def folders(request, tmp_path_factory):
    return _written(PUBLISHERS[request.param], tmp_path_factory.mktemp(request.param))


def _written(publisher, root):
    """A model of the library, its child, and both as they are published."""
    arrays, config = _arrays(publisher)
    child = _child(arrays)
    beside = ("config.json", config)
    return [
        _write(root / "library", arrays, beside),
        _write(root / "child", child, beside),
        _write(root / "own", publisher.stored(arrays), publisher.beside),
        _write(root / "own-child", publisher.stored(child), publisher.beside),
    ]


def test_every_tensor_is_read_as_the_library_has_it(folders):
    library, own = open_model(folders[0]), open_model(folders[2])
    plain = components_of(library.tensors)[0].homes
    stored = {name.removeprefix("model."): home.tensor for name, home in plain.items()}
    component = components_of(own.tensors)[0]
    for name, home in component.homes.items():
        x = own.rows(home.tensor)
        x = np.concatenate([x[a:b] for a, b in home.spans]) if home.spans else x
        short = name.removeprefix("model.")
        if short.endswith("qkv_proj.weight"):  # whose parts the catalogue knows
            parts = (short.replace("qkv", letter) for letter in "qkv")
            there = np.concatenate([library.rows(stored[part]) for part in parts])
        elif short.endswith(tuple(TURNED)):
            module, _, leaf = short.rpartition(".")
            there = library.rows(stored[f"{module}.{TURNED[leaf]}"]).swapaxes(1, 2)
        else:
            there = library.rows(stored[short])
        np.testing.assert_array_equal(x.reshape(there.shape), there, err_msg=name)


def test_both_have_the_same_axes(folders):
    library, own = (read_anatomy(open_model(folders[i])) for i in (0, 2))
    assert set(own.stacks) <= set(library.stacks)  # a config may say more
    known = {(x.stack, x.block, x.name, x.n_units) for x in own.axes}
    assert known <= {(x.stack, x.block, x.name, x.n_units) for x in library.axes}
    assert known


@pytest.mark.claim
def test_they_are_one_model_and_their_children_are_fine_tuned(folders):
    _check_pairs(*folders)


def test_the_heads_of_a_model_without_a_config_are_those_of_the_other(tmp_path):
    _check_pairs(*_written(MEGATRON_LM, tmp_path))


def _check_pairs(library, child, own, own_child):
    same = compare(library, own)
    assert (same.verdict, same.kind) == ("dependent", ("header-only",))
    expected = compare(library, child).kind_details["relative_distance"]
    found = compare(library, own_child)
    assert found.kind == ("fine-tuned",)
    assert found.kind_details["relative_distance"] == pytest.approx(expected, rel=0.1)


def test_rows_of_heads_and_groups_are_found_where_they_stand():
    rows = np.arange(24)
    assert Pairs(6)(rows)[:12].tolist() == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]
    at = Groups(n=2, size=2, n_queries=4)(np.arange(16))
    assert at.tolist() == [0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15]


def test_tests_reach_the_interleaved_rows_of_gpt_oss(tmp_path):
    publisher = PUBLISHERS["gpt-oss"]
    both = [_arrays(publisher, seed) for seed in range(2)]
    paths = [_write(tmp_path / f"{i}", x, ("config.json", y)) for i, (x, y) in enumerate(both)]
    record = compare(*paths)
    assert record.verdict == "no-evidence"
    assert record.tested_share > 0.9
