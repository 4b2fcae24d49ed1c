"""Rows cost their own bytes, come in the order asked for, and pass values through unchanged."""

import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.formats.handmade import entry, safetensors
from weightkin.errors import UnreadableModel
from weightkin.formats import model_from_arrays, open_model
from weightkin.sources.touched import PAGE


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """64 MiB: 4096 rows of 16 KiB, each row full of its own number."""
    path = tmp_path_factory.mktemp("large") / "model.safetensors"
    rows = np.repeat(np.arange(4096, dtype=np.float32)[:, None], 4096, axis=1)
    save_file({"w": rows}, path)
    return path


@pytest.fixture
def small(tmp_path):
    cube = np.arange(60, dtype=np.int32).reshape(5, 4, 3)
    save_file({"cube": cube, "line": np.arange(9, dtype=np.float64)}, tmp_path / "x.safetensors")
    return open_model(tmp_path / "x.safetensors"), cube


def test_opening_touches_the_header_alone(large):
    assert open_model(large).bytes_read == PAGE


def test_one_row_costs_one_row(large):
    model = open_model(large)
    row = model.rows("w", np.array([1234]))
    assert row.shape == (1, 4096)
    assert (row == 1234).all()
    assert model.bytes_read <= 16384 + 2 * PAGE


def test_scattered_rows_cost_their_own_pages(large):
    model = open_model(large)
    wanted = np.arange(0, 4096, 64)
    assert (model.rows("w", wanted)[:, 0] == wanted).all()
    assert model.bytes_read <= 64 * (16384 + PAGE) + PAGE


def test_reading_twice_counts_once(large):
    model = open_model(large)
    model.rows("w", slice(10, 20))
    once = model.bytes_read
    model.rows("w", slice(10, 20))
    assert model.bytes_read == once


def test_all_rows_touch_all_pages(large):
    model = open_model(large)
    assert model.rows("w").sum(dtype=np.float64) == 4096 * (4095 * 4096 / 2)
    assert model.bytes_read == -(-large.stat().st_size // PAGE) * PAGE


@pytest.mark.parametrize(
    "index",
    [
        None,
        slice(None),
        slice(1, 3),
        slice(3, 1),
        slice(-2, None),
        slice(0, 99),
        slice(None, None, 2),
        slice(None, None, -1),
        np.array([4, 0, 0, 3, 2]),
        np.array([0, 1, 2, 3, 4]),
        np.array([2], dtype=np.uint8),
        np.array([], dtype=np.int64),
    ],
)
def test_rows_are_what_numpy_would_give(small, index):
    model, cube = small
    expected = cube if index is None else cube[index]
    rows = model.rows("cube", index)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, expected)
    line = np.arange(9, dtype=np.float32)
    np.testing.assert_array_equal(model.rows("line", index), line if index is None else line[index])


def test_random_rows_are_what_numpy_would_give(small):
    model, cube = small
    rng = np.random.default_rng(3)
    for _ in range(50):
        index = rng.integers(0, 5, rng.integers(0, 12))
        np.testing.assert_array_equal(model.rows("cube", index), cube[index])


@pytest.mark.parametrize("index", [np.array([5]), np.array([-1]), np.array([0, 99])])
def test_an_index_outside_says_so(small, index):
    with pytest.raises(IndexError, match="not within 0 to 4"):
        small[0].rows("cube", index)


@pytest.mark.parametrize("index", [np.array([0.5]), np.array([[1]]), np.array([True, False])])
def test_an_index_of_another_kind_is_a_mistake(small, index):
    with pytest.raises(TypeError, match="not 1-D integers"):
        small[0].rows("cube", index)


def test_an_unknown_name_says_so(small):
    with pytest.raises(KeyError, match="no tensor 'nothing'"):
        small[0].rows("nothing")


def test_nan_and_infinity_pass_unchanged(tmp_path):
    values = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45], dtype=np.float32)
    payload = np.array([0x7FA00001], dtype="<u4").view(np.float32)
    save_file({"v": values, "p": payload}, tmp_path / "x.safetensors")
    model = open_model(tmp_path / "x.safetensors")
    assert model.rows("v").tobytes() == values.tobytes()
    assert model.rows("p").tobytes() == payload.tobytes()


def test_float64_beyond_float32_becomes_infinite_without_a_warning(tmp_path):
    save_file({"v": np.array([1e300, -1e300, 1e-300, 1.5])}, tmp_path / "x.safetensors")
    assert open_model(tmp_path / "x.safetensors").rows("v").tolist() == [np.inf, -np.inf, 0, 1.5]


def test_tensors_longer_than_a_batch_are_read_whole(monkeypatch, small):
    model, cube = small
    monkeypatch.setattr("weightkin.formats.model.BATCH", 7)
    np.testing.assert_array_equal(model.rows("cube"), cube)
    index = np.array([4, 1, 2])
    np.testing.assert_array_equal(model.rows("cube", index), cube[index])


def test_elements_off_their_alignment_are_read(tmp_path):
    header = {"a": entry("U8", [1], 0, 1), "b": entry("F32", [2], 1, 9)}
    raw = b"\x01" + np.array([2.5, 3.5], "<f4").tobytes()
    model = open_model(safetensors(tmp_path / "x.safetensors", header, raw))
    assert model.rows("b").tolist() == [2.5, 3.5]


def test_a_file_cut_after_opening_is_an_error_and_no_crash(tmp_path):
    save_file({"v": np.zeros(100_000, np.float32)}, tmp_path / "x.safetensors")
    model = open_model(tmp_path / "x.safetensors")
    with (tmp_path / "x.safetensors").open("r+b") as handle:
        handle.truncate(5000)
    with pytest.raises(UnreadableModel, match="shorter than when it was opened"):
        model.rows("v")


def test_an_open_model_travels_to_another_process(small):
    model, cube = small
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.rows("cube"), cube)


def test_a_model_in_memory_reads_like_a_file(small):
    model, cube = small
    twin = model_from_arrays({"cube": cube, "line": np.arange(9.0)})
    assert twin.tensors == model.tensors
    assert twin.n_bytes == model.n_bytes
    index = np.array([3, 3, 0])
    np.testing.assert_array_equal(twin.rows("cube", index), model.rows("cube", index))
    assert twin.bytes_read == 0
