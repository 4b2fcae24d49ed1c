"""Torch files are read in place as torch.load reads them, and hostile archives refused."""

import struct
import zipfile

import numpy as np
import pytest

from tests.formats.handmade import (
    integer,
    mapping,
    name,
    program,
    refusal,
    sequence,
    tensor,
    text,
    torch_file,
)
from weightkin.formats import open_model
from weightkin.sources.touched import PAGE

CHECKED = program(mapping({"w": tensor()}))


def opened(tmp_path, pickled, storages=None):
    return open_model(torch_file(tmp_path / "x.bin", pickled, storages))


def test_every_dtype_reads_as_torch_reads_it(tmp_path):
    torch = pytest.importorskip("torch")
    base = torch.arange(24).reshape(4, 6)
    small_floats = ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz")
    dtypes = [
        *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool),
        *(torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64),
        *(torch.uint16, torch.uint32, torch.uint64),
        *(getattr(torch, f"float8_{kind}") for kind in small_floats),
    ]
    torch.save({str(dtype): base.to(dtype) for dtype in dtypes}, tmp_path / "x.pt")
    read = torch.load(tmp_path / "x.pt", weights_only=True)
    model = open_model(tmp_path / "x.pt")
    assert set(model.tensors) == set(read)
    for key, values in read.items():
        np.testing.assert_array_equal(model.rows(key), values.float().numpy())


def test_views_read_as_torch_reads_them(tmp_path):
    torch = pytest.importorskip("torch")
    base = torch.randn(60, 50, 4)
    views = {
        "whole": base,
        "transposed": base.transpose(0, 1),
        "permuted": base.permute(2, 0, 1),
        "slice": base[7:9],
        "steps": base[::7, 1::3],
        "column": base[:, 3, 2],
        "diagonal": base[:, :, 0].diagonal(),
        "expanded": base[0, 0].expand(5, 4),
        "scalar": base[3, 4, 1],
        "empty": base[5:5],
        "flipped": base[3:4].transpose(0, 2),
    }
    torch.save(views, tmp_path / "x.bin")
    model = open_model(tmp_path / "x.bin")
    rng = np.random.default_rng(0)
    for key, view in views.items():
        values = view.numpy()
        np.testing.assert_array_equal(model.rows(key), values)
        if view.ndim and len(values):
            index = rng.integers(0, len(values), 5)
            np.testing.assert_array_equal(model.rows(key, index), values[index])


def test_a_view_costs_the_pages_of_its_elements(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"t": torch.zeros(1000, 5000).t()}, tmp_path / "x.bin")  # a row per 1000 pages
    model = open_model(tmp_path / "x.bin")
    before = model.bytes_read
    model.rows("t", slice(0, 1))
    assert model.bytes_read - before <= 1000 * PAGE


def test_tied_tensors_are_both_there(tmp_path):
    model = opened(tmp_path, program(mapping({"a": tensor(), "b": tensor()})))
    np.testing.assert_array_equal(model.rows("a"), model.rows("b"))
    assert model.n_bytes == 48


def test_parameters_and_optimizers_are_told_apart(tmp_path):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "optimizer": optimizer.state_dict(),
        "state_dict": layer.state_dict(),
        "note": ["text", (1, 2.5, None)],
    }
    torch.save(checkpoint, tmp_path / "x.pth")
    moments = [
        f"optimizer.state.{i}.{x}" for i in (0, 1) for x in ("exp_avg", "exp_avg_sq", "step")
    ]
    assert list(open_model(tmp_path / "x.pth").tensors) == ["bias", *moments, "weight"]
    torch.save(dict(layer.named_parameters()), tmp_path / "y.pth")
    model = open_model(tmp_path / "y.pth")
    np.testing.assert_array_equal(model.rows("weight"), layer.weight.detach().numpy())


def test_nested_dicts_give_dotted_names(tmp_path):
    inner = mapping({"encoder": mapping({"w": tensor()}), "w": tensor()})
    model = opened(tmp_path, program(mapping({"model": mapping({"module": inner})})))
    assert list(model.tensors) == ["encoder.w", "w"]


def test_a_dict_that_holds_itself_is_read_once(tmp_path):
    body = b"}q\x00(" + text("self") + b"h\x00" + text("w") + tensor() + b"u"
    assert list(opened(tmp_path, program(body)).tensors) == ["w"]


def test_an_unsupported_dtype_is_a_problem(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"c": torch.zeros(2, dtype=torch.complex64), "w": torch.ones(2)}, tmp_path / "x.pt")
    model = open_model(tmp_path / "x.pt")
    assert list(model.tensors) == ["w"]
    assert [(problem.what, problem.why) for problem in model.problems] == [
        ("c", "dtype C64 is not supported")
    ]


def test_opening_touches_the_directory_and_the_pickle_alone(tmp_path):
    storages = {"0": bytes(40_000_000)}
    body = program(mapping({"w": tensor(n=10_000_000, shape=(2500, 4000), strides=(4000, 1))}))
    model = opened(tmp_path, body, storages)
    assert model.bytes_read <= 4 * PAGE
    model.rows("w", np.array([7]))
    assert model.bytes_read <= 10 * PAGE


@pytest.mark.parametrize(
    ("view", "said"),
    [
        ({"offset": 1}, "element 6 is outside its storage of 6 elements"),
        ({"offset": 2**62}, f"element {2**62 + 5} is outside its storage"),
        ({"offset": 2**200}, "element an integer of 201 bits is outside"),
        ({"offset": -1}, "offset -1 is not"),
        ({"strides": (2**62, 1)}, f"element {2**62 + 2} is outside its storage"),
        ({"strides": (-3, 1)}, "stride -3 is not"),
        ({"strides": (1,)}, "its strides are not 2 integers"),
        ({"shape": (2, -3)}, "-3 in its shape is not"),
        ({"shape": (2**40, 2**40), "strides": (0, 0)}, "elements"),
        ({"shape": (10**6, 10**6), "strides": (0, 0)}, "expanded view"),
        ({"shape": (3, 3)}, "element 8 is outside"),
        ({"n": 7}, "its storage has 24 bytes, not 28"),
        ({"n": 2**80}, "its storage has 24 bytes, not"),
        ({"key": "1"}, "zip entry 'data/1': missing"),
        ({"key": "../data.pkl"}, "zip entry 'data/../data.pkl': missing"),
        ({"key": "0\n\x1b"}, ": missing"),
    ],
)
def test_a_view_outside_its_storage_is_refused(tmp_path, view, said):
    assert said in refusal(torch_file(tmp_path / "x.bin", program(mapping({"w": tensor(**view)}))))


def test_a_stride_no_element_uses_is_harmless(tmp_path):
    body = program(mapping({"w": tensor(shape=(1, 6), strides=(2**70, 1))}))
    assert opened(tmp_path, body).rows("w").tolist() == [[0, 1, 2, 3, 4, 5]]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (program(name("posix", "system")), "x.bin: no tensors"),
        (program(b"]"), "x.bin: no tensors"),
        (program(b"}"), "x.bin: no tensors"),
        (program(mapping({"w": tensor(shape=(2,), strides=(1, 1))})), "its strides are not 1"),
        (program(sequence(integer(1))), "x.bin: no tensors"),
        (b"", "broken pickle (no end)"),
    ],
)
def test_a_hostile_pickle_is_refused(tmp_path, body, said):
    assert said in refusal(torch_file(tmp_path / "x.bin", body))


def test_compressed_entries_are_refused(tmp_path):
    path = torch_file(tmp_path / "x.bin", CHECKED, compression=zipfile.ZIP_DEFLATED)
    assert "compressed or encrypted, which torch.save does not do" in refusal(path)


def test_big_endian_files_are_refused(tmp_path):
    assert "byte order 'big'" in refusal(torch_file(tmp_path / "x.bin", CHECKED, byteorder=b"big"))


def test_strange_archives_are_refused(tmp_path):
    path = torch_file(tmp_path / "x.pt", CHECKED, more={"other/data.pkl": b""})
    assert "2 files data.pkl in the zip archive" in refusal(path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = torch_file(tmp_path / "x.pt", CHECKED, more={"archive/data/0": bytes(24)})
    assert "zip entry 'archive/data/0' is repeated" in refusal(path)
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("readme", "hello")
    assert "0 files data.pkl in the zip archive" in refusal(tmp_path / "x.pt")


def test_what_is_no_torch_file_says_how_it_begins(tmp_path):
    for raw in (b"", b"abc", bytes(1000)):
        (tmp_path / "x.bin").write_bytes(raw)
        assert "not a file of torch.save (it begins with" in refusal(tmp_path / "x.bin")


def test_a_local_header_that_disagrees_is_refused(tmp_path):
    raw = torch_file(tmp_path / "x.bin", CHECKED).read_bytes()
    at = raw.index(b"archive/data/0") - 30
    for position, value, said in [
        (0, b"XXXX", "its local header is damaged"),
        (28, struct.pack("<H", 65535), "its local header is damaged"),
        (26, struct.pack("<H", 3), "another name"),
        (30, b"b", "another name"),
    ]:
        broken = bytearray(raw)
        broken[at + position : at + position + len(value)] = value
        (tmp_path / "y.bin").write_bytes(broken)
        assert said in refusal(tmp_path / "y.bin")


def test_an_entry_that_points_outside_the_file_is_refused(tmp_path):
    raw = torch_file(tmp_path / "x.bin", CHECKED).read_bytes()
    at = raw.rindex(b"archive/data/0") - 46  # its entry in the central directory
    for position, value in [(42, 2**31), (20, 2**31), (24, 2**31)]:
        broken = bytearray(raw)
        broken[at + position : at + position + 4] = struct.pack("<I", value)
        (tmp_path / "y.bin").write_bytes(broken)
        refusal(tmp_path / "y.bin")


def test_a_file_cut_anywhere_is_refused(tmp_path):
    raw = torch_file(tmp_path / "x.bin", CHECKED).read_bytes()
    for length in range(0, len(raw), 7):
        (tmp_path / "y.bin").write_bytes(raw[:length])
        refusal(tmp_path / "y.bin")


def test_sizes_are_bounded(tmp_path, monkeypatch):
    path = torch_file(tmp_path / "x.bin", CHECKED)
    monkeypatch.setattr("weightkin.formats.torch_zip.MAX_PICKLE", 10)
    assert "data.pkl is too large" in refusal(path)
    monkeypatch.setattr("weightkin.formats.zip_archive.MAX_DIRECTORY", 50)
    assert "the zip directory is too large" in refusal(path)
