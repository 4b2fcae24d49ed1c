"""What is known of a model is worked out once, and small tensors are read together."""

import gc
import weakref
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.calls import n_calls
from weightkin.api.compare import compare
from weightkin.evidence.kept import Kept
from weightkin.formats import digest, open_model
from weightkin.formats.packed_floats import FP4, PAIRS
from weightkin.formats.read_together import read_each
from weightkin.lineage.collection import contents_of
from weightkin.policy.checking import check
from weightkin.registry import Registry
from weightkin.sketch import Scheme, take_sketch


@pytest.fixture
def blocks(tmp_path: Path) -> Path:
    return written(tmp_path, 200)


def written(tmp_path: Path, n: int) -> Path:
    rng = np.random.default_rng(0)
    shapes = {"mlp.up_proj": (8, 4), "mlp.gate_proj": (8, 4), "mlp.down_proj": (4, 8)}
    tensors = {
        f"layers.{i}.{name}.weight": rng.standard_normal(shape).astype(np.float32)
        for i in range(n)
        for name, shape in shapes.items()
    }
    save_file(tensors, tmp_path / "blocks.safetensors")
    return tmp_path / "blocks.safetensors"


def test_a_digest_reads_small_tensors_together_and_once(blocks: Path) -> None:
    model = open_model(blocks)
    assert n_calls(lambda: digest(model), "sources/local.py", "read") <= 3
    assert n_calls(lambda: digest(model), "sources/local.py", "read") == 0


def test_a_changed_file_has_another_digest(blocks: Path) -> None:
    before = digest(open_model(blocks))
    raw = bytearray(blocks.read_bytes())
    raw[8 + int.from_bytes(raw[:8], "little")] ^= 1  # of the first row of the first tensor
    blocks.write_bytes(raw)
    assert digest(open_model(blocks)) != before


def test_an_open_model_whose_file_changes_is_read_again(tmp_path: Path) -> None:
    model = open_model(written(tmp_path, 4))
    before = digest(model), take_sketch(model)
    other = open_model(written(_made(tmp_path / "other"), 5)).tensors
    rng = np.random.default_rng(1)
    changed = {name: rng.standard_normal(x.shape).astype(np.float32) for name, x in other.items()}
    save_file({name: changed[name] for name in model.tensors}, tmp_path / "again.safetensors")
    Path(model.source).write_bytes((tmp_path / "again.safetensors").read_bytes())
    assert digest(model) != before[0]
    assert contents_of(take_sketch(model)) != contents_of(before[1])


def test_sketches_of_an_open_model_are_kept_by_scheme_and_go_with_it(blocks: Path) -> None:
    model = open_model(blocks)
    plain = Scheme(has_views=False)
    assert {take_sketch(model, x).scheme.name for x in (plain, Scheme(), plain)} == {
        plain.name,
        Scheme().name,
    }
    kept = weakref.ref(model)
    del model
    gc.collect()
    assert kept() is None


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_read_together_is_read_one_by_one(blocks: Path) -> None:
    model = open_model(blocks)
    wanted = [(name, [(0, 2), (3, 9), (9, 11)]) for name in sorted(model.tensors, reverse=True)]
    wanted[5] = (wanted[5][0], [])
    found = list(read_each(model.storage, wanted))
    assert len(found) == len(wanted)
    for (name, runs), values in zip(wanted, found, strict=True):
        assert np.array_equal(values, model.storage.read_runs(name, runs))
    with pytest.raises(IndexError, match="runs outside"):
        list(read_each(model.storage, [(wanted[0][0], [(0, 33)])]))


def test_names_are_read_no_more_often_for_many_models_of_one_layout(
    tmp_path: Path,
) -> None:
    blocks = written(tmp_path, 2)
    rng = np.random.default_rng(1)
    many = tmp_path / "many"
    many.mkdir()
    held = open_model(blocks)
    for i in range(4):
        values = {n: rng.standard_normal(x.shape).astype("f4") for n, x in held.tensors.items()}
        save_file(values, many / f"{i}.safetensors")
    names = "anatomy/naming.py", "split_names"
    one = n_calls(lambda: compare(blocks, many / "0.safetensors", effort="quick"), *names)
    assert n_calls(lambda: check(many, deny=[blocks]), *names) <= one + 5 * 2
    n = n_calls(lambda: check(many, deny=[blocks]), "policy/same_rows.py", "_by_width")
    assert n <= 4 + 1


def small_model(path: Path, seed: int) -> Path:
    """A model of two gated blocks over 64 tokens."""
    rng = np.random.default_rng(seed)
    shapes = {"embed_tokens": (64, 16)}
    for i in range(2):
        shapes |= {f"layers.{i}.mlp.{name}_proj": (32, 16) for name in ("gate", "up")}
        shapes[f"layers.{i}.mlp.down_proj"] = 16, 32
    values = {f"model.{n}.weight": rng.standard_normal(x).astype("f4") for n, x in shapes.items()}
    save_file(values, path)
    return path


def test_a_model_checked_against_many_is_sketched_once(tmp_path: Path) -> None:
    first, *others = (small_model(tmp_path / f"{i}.safetensors", i) for i in range(4))
    found = n_calls(lambda: check(first, deny=others), "sketch/take.py", "_taken")
    assert 0 < found <= 4


def test_a_sketch_of_a_registry_is_parsed_once(tmp_path: Path) -> None:
    first, other = (small_model(tmp_path / f"{i}.safetensors", i) for i in range(2))
    registry = Registry(tmp_path / "registry.sqlite")
    registry.add([other])
    again = partial(registry.trace, first, also=[1], fresh=True)
    assert n_calls(again, "sketch/file.py", "read_sketch") == 1
    assert n_calls(again, "sketch/file.py", "read_sketch") == 0
    (file,) = (x for x in tmp_path.rglob("sketches/*") if x.is_file())
    data = file.read_bytes()
    file.write_bytes(data)
    assert n_calls(again, "sketch/file.py", "read_sketch") == 1  # it may hold anything
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert again().search.incomplete


def test_weights_and_tokens_of_an_axis_are_looked_at_once(tmp_path: Path) -> None:
    a, b = (small_model(tmp_path / f"{i}.safetensors", i) for i in range(2))
    record = compare(a, b, seed=0)
    assert "views" in record.parameters  # units were seen through tokens, too
    n_axes = 2 * 3  # two blocks and the residual width of each
    both = partial(compare, a, b, seed=0)
    assert n_calls(both, "evidence/pair_tester.py", "_weights") == n_axes
    n_seen = n_calls(both, "evidence/views.py", "_token_views")
    assert n_seen < n_calls(both, "evidence/views.py", "token_views")


def test_formulas_are_looked_for_once_in_the_same_rows(tmp_path: Path) -> None:
    a, b, c = (small_model(tmp_path / f"{i}.safetensors", 10 + i) for i in range(3))
    first = n_calls(partial(compare, a, b, seed=0), "stats/formulas.py", "read_rows")
    other = n_calls(partial(compare, a, c, seed=0), "stats/formulas.py", "read_rows")
    assert other == first / 2  # of c alone


def test_tables_are_not_looked_for_where_there_is_one_network(tmp_path: Path) -> None:
    a, b = (small_model(tmp_path / f"{i}.safetensors", i) for i in range(2))
    assert n_calls(partial(compare, a, b, seed=0), "sketch/tables.py", "is_table") == 0


def test_what_takes_too_much_is_not_kept() -> None:
    kept, made = Kept(most=2400), []  # two entries of 40 bytes

    def once(key: int, n_bytes: int) -> None:
        kept.once(key, lambda: made.append(key) or {"view": np.zeros(n_bytes, np.uint8)})

    for key in (1, 2, 1, 2):
        once(key, 40)
    assert made == [1, 2]
    once(3, 40)  # all is dropped
    once(1, 40)
    assert made == [1, 2, 3, 1]
    once(4, 4000)
    once(4, 4000)
    once(1, 40)  # still there
    assert made == [1, 2, 3, 1, 4, 4]


def test_both_values_of_each_byte() -> None:
    assert PAIRS.shape == (256, 2)
    assert PAIRS[0x7A].tolist() == [-1.0, 6.0]
    assert all(PAIRS[x].tolist() == [FP4[x & 15], FP4[x >> 4]] for x in range(256))
