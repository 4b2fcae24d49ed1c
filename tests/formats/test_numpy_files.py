"""Claim: arrays of numpy are read as they were written, compressed or not, and never unpickled."""

import io
import zipfile
import zlib

import ml_dtypes
import numpy as np
import pytest

from tests.conftest import ROOT
from weightkin import compare
from weightkin.errors import UnreadableModel
from weightkin.formats import digest, open_model
from weightkin.formats.ledger import own_ledger

MODELS = ROOT / "zoo" / "models"


@pytest.fixture
def arrays(rng):
    """All kinds of types and shapes."""
    x = rng.standard_normal((40, 30))
    return {
        "a.weight": x.astype(np.float32),
        "b": x.astype(np.float16),
        "c": np.asfortranarray(x),
        "d": rng.integers(-9, 9, (2, 3, 4)).astype(np.int64),
        "e": np.array([True, False]),
        "scalar": np.float32(2.5),
    }


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_an_archive(tmp_path, arrays, save):
    save(tmp_path / "x.npz", **arrays)
    model = open_model(tmp_path / "x.npz")
    assert not model.problems
    assert model.tensors.keys() == arrays.keys()
    for name, array in arrays.items():
        assert model.tensors[name].shape == array.shape
        np.testing.assert_array_equal(model.rows(name), array.astype(np.float32))
    some = np.array([38, 2, 3, 2])
    np.testing.assert_array_equal(model.rows("b", some), arrays["b"][some].astype(np.float32))
    np.testing.assert_array_equal(model.rows("b", slice(0, 2)), arrays["b"][:2].astype("f4"))


@pytest.mark.parametrize("how", ["behind", "longer"])
def test_what_lies_behind_a_compressed_array_is_unread(tmp_path, rng, how):
    """Bytes in its entry behind the end of the stream, or in a stream longer than its entry."""
    path, hidden = tmp_path / "x.npz", rng.bytes(700)
    raw = io.BytesIO()
    np.save(raw, rng.standard_normal((20, 30)).astype(np.float32))
    n, data = len(raw.getvalue()), raw.getvalue() + (hidden if how == "longer" else b"")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = packer.compress(data) + packer.flush() + (hidden if how == "behind" else b"")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", data[:n])
        start = archive.infolist()[0].header_offset + 30 + len("a.npy")
        archive.fp.seek(start)
        archive.fp.write(stream)
        archive.start_dir = archive.fp.tell()
        archive.infolist()[0].compress_size = len(stream)
    model = open_model(path)
    assert model.rows("a").shape == (20, 30)
    (told,) = own_ledger(model).files
    assert (told.unread, told.codes) == (
        len(stream) if how == "longer" else 700, ("behind-values",))  # fmt: skip


def test_another_name_hides_no_archive(tmp_path, arrays):
    np.savez(tmp_path / "x.npz", **arrays)
    for name in ("model.bin", "x.keras", "x.safetensors"):
        (tmp_path / name).write_bytes((tmp_path / "x.npz").read_bytes())
        assert open_model(tmp_path / name).tensors.keys() == arrays.keys()


def test_one_array_and_numbers_that_numpy_cannot_name(tmp_path, rng):
    x = rng.standard_normal((8, 4)).astype(ml_dtypes.bfloat16)
    np.save(tmp_path / "x.npy", x)
    model = open_model(tmp_path / "x.npy")
    assert model.tensors["x"].dtype == "BF16"
    np.testing.assert_array_equal(model.rows("x"), x.astype(np.float32))


def test_objects_are_a_problem_and_never_unpickled(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.ones((2, 2)), b=np.array([{}, {}], dtype=object))
    (problem,) = open_model(tmp_path / "x.npz").problems
    assert (problem.what, problem.why) == ("b", "an array of objects, which is a pickle")


def test_a_model_of_the_zoo_stays_what_it_is(tmp_path):
    model = open_model(MODELS / "llama-a")
    values = {name: model.rows(name) for name in model.tensors}
    np.savez(tmp_path / "plain.npz", **values)
    np.savez_compressed(tmp_path / "packed.npz", **values)
    for name in ("plain.npz", "packed.npz"):
        assert digest(open_model(tmp_path / name)) == digest(open_model(tmp_path / "plain.npz"))
    record = compare(MODELS / "llama-a", tmp_path / "packed.npz")
    assert record.verdict == "dependent"
    assert compare(MODELS / "llama-b", tmp_path / "packed.npz").verdict == "no-evidence"


def entry(header, body=b""):
    """An archive with one array under a header of our own."""
    raw = io.BytesIO()
    text = header.encode() + b"\n"
    data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + body
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", data)
    return raw.getvalue()


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (9, 9), }", "bytes when unpacked"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': __import__('os'), }", "its header"),
        (
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
            "too many",
        ),
        ("[" * 5000, "its header"),
    ],
)
def test_broken_headers_are_one_line(tmp_path, header, said):
    (tmp_path / "x.npz").write_bytes(entry(header))
    with pytest.raises(UnreadableModel, match=said):
        open_model(tmp_path / "x.npz")


def test_what_unpacks_to_far_more_than_the_file_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros((9000, 1000), np.float32))
    with pytest.raises(UnreadableModel, match="times as large"):
        open_model(tmp_path / "x.npz")
