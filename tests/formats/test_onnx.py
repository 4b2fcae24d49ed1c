"""Claim: an ONNX file is the model it was exported from; a hostile one is refused in one line."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests import writers
from tests.formats.handmade import refusal
from weightkin.errors import WeightkinError
from weightkin.formats import open_model
from weightkin.formats.onnx_names import is_own_name

package = pytest.importorskip("onnx")
helper = package.helper

LLAMA = Path(__file__).parents[2] / "zoo" / "models" / "llama-a"
FIXTURES = Path(__file__).parents[1] / "fixtures"


def same_model(a, b):
    """All names, shapes and values; a file may hold a shape beside its weights."""
    assert set(a.tensors) - {"/Constant_output_0"} == set(b.tensors)
    for name in b.tensors:
        np.testing.assert_array_equal(a.rows(name), b.rows(name), err_msg=name)
        some = np.array([3, 1, 3])
        np.testing.assert_array_equal(a.rows(name, some), b.rows(name)[some], err_msg=name)


@pytest.mark.parametrize("beside", [False, True])
def test_weights_get_their_names_and_their_layout_back(tmp_path, beside):
    writers.onnx(LLAMA, tmp_path / "m", beside=beside)
    model, plain = open_model(tmp_path / "m"), open_model(LLAMA)
    same_model(model, plain)
    opened = open_model(tmp_path / "m" / "model.onnx")
    assert opened.name == "m"
    before = opened.bytes_read
    opened.rows("model.norm.weight")
    assert opened.bytes_read - before <= 8192


@pytest.mark.parametrize("name", ["onnx-inside", "onnx-beside"])
def test_what_torch_exports_is_the_model_it_came_from(name):
    same_model(open_model(FIXTURES / name), open_model(FIXTURES / "onnx-base"))


def test_what_the_older_exporter_of_torch_writes(tmp_path):
    torch = pytest.importorskip("torch")

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.up = torch.nn.Linear(4, 8, bias=False)
            self.down = torch.nn.Linear(8, 4)

        def forward(self, x):
            return x + self.down(torch.relu(self.up(x)))

    net = torch.nn.Sequential(Block(), Block(), torch.nn.Linear(4, 3))
    path = tmp_path / "x.onnx"
    torch.onnx.export(net, (torch.ones(2, 5, 4),), path, dynamo=False)
    stored = {tensor.name for tensor in package.load(path).graph.initializer}
    assert any(name.startswith("onnx::MatMul") for name in stored)
    model = open_model(path)
    assert set(model.tensors) == set(net.state_dict())
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(model.rows(name), tensor.numpy())


def saved(path, nodes, arrays):
    """A graph of nodes over initialisers."""
    held = [package.numpy_helper.from_array(x, name) for name, x in arrays.items()]
    package.save(helper.make_model(helper.make_graph(nodes, "g", [], [], held)), path)
    return path


def test_a_name_comes_from_the_bias_where_no_scope_is_known(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "123"], ["y"], "MatMul_7"),
        helper.make_node("Add", ["y", "fc.bias"], ["z"], "Add_8"),
    ]
    w = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = saved(tmp_path / "x.onnx", nodes, {"123": w, "fc.bias": np.ones(3, np.float32)})
    np.testing.assert_array_equal(open_model(path).rows("fc.weight"), w.T)


@pytest.mark.parametrize(
    ("scopes", "operator", "name"),
    [
        ("['', 'encoder.fc', 'linear']", "/other/MatMul", "encoder.fc.weight"),
        ("['fc', 'linear']", "/other/MatMul", "fc.weight"),
        ("['linear']", "/encoder/fc/MatMul", "encoder.fc.weight"),  # of the operator alone
        ("['', 'linear']", "/encoder/fc/MatMul", "encoder.fc.weight"),  # of the whole model
        ("", "/encoder/fc/MatMul", "encoder.fc.weight"),
        ("", "/net/net.0/conv/conv.1/conv.1.0/MatMul", "net.0.conv.1.0.weight"),
        ("", "MatMul_7", "MatMul_7.weight"),
        ("['linear']", "", "123"),
    ],
)
def test_a_name_comes_from_the_scopes_then_from_the_operator(tmp_path, scopes, operator, name):
    node = helper.make_node("MatMul", ["x", "123"], ["y"], operator)
    node.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=scopes)
    node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="in 'a', in 'b'")
    w = np.arange(6, dtype=np.float32).reshape(2, 3)
    model = open_model(saved(tmp_path / "x.onnx", [node], {"123": w}))
    assert list(model.tensors) == [name]
    np.testing.assert_array_equal(model.rows(name), w.T)


@pytest.mark.parametrize(
    ("name", "is_own"),
    [
        ("fc.weight", True),
        ("encoder/w", True),
        ("bias", True),
        ("123", False),
        ("onnx::fc.weight", False),
        ("/fc/Constant.value", False),
    ],
)
def test_names_that_exporters_make_up_are_not_kept(name, is_own):
    assert is_own_name(name) is is_own


def test_a_gemm_with_transposed_weights_keeps_them(tmp_path):
    nodes = [helper.make_node("Gemm", ["x", "12"], ["y"], "/fc/Gemm", transB=1)]
    w = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = saved(tmp_path / "x.onnx", nodes, {"12": w})
    np.testing.assert_array_equal(open_model(path).rows("fc.weight"), w)


def test_one_initialiser_under_two_names(tmp_path):
    nodes = [helper.make_node("Identity", ["a.bias"], ["b.bias"])]
    path = saved(tmp_path / "x.onnx", nodes, {"a.bias": np.zeros(4, np.float32)})
    assert list(open_model(path).tensors) == ["a.bias", "b.bias"]


def beside(tmp_path, **entry):
    """A graph whose one tensor of 16 bytes lies where the entry says."""
    tensor = package.TensorProto(name="a.weight", data_type=1, dims=[2, 2], data_location=1)
    for key, value in entry.items():
        tensor.external_data.add(key=key, value=value)
    graph = package.GraphProto(name="g", initializer=[tensor])
    (tmp_path / "x.onnx").write_bytes(package.ModelProto(graph=graph).SerializeToString())
    (tmp_path / "data").write_bytes(np.arange(8, dtype=np.float32).tobytes())
    return tmp_path / "x.onnx"


def test_values_beside_are_found_by_offset_and_length(tmp_path):
    path = beside(tmp_path, location="data", offset="8", length="16")
    np.testing.assert_array_equal(open_model(path).rows("a.weight"), [[2, 3], [4, 5]])


def test_an_entry_about_values_beside_without_a_name_says_nothing(tmp_path):
    path = beside(tmp_path, location="data", length="16")
    whole = package.load(path, load_external_data=False)
    whole.graph.initializer[0].external_data.add(value="other")
    path.write_bytes(whole.SerializeToString())
    np.testing.assert_array_equal(open_model(path).rows("a.weight"), [[0, 1], [2, 3]])


@pytest.mark.parametrize(
    "location",
    ["../data", "/etc/passwd", "a/../data", "..", "", "a\\b", "C:data", "x\0y", "a" * 2000],
)
def test_paths_that_lead_out_are_refused(tmp_path, location):
    message = refusal(beside(tmp_path, location=location))
    assert "refused: its values are in" in message
    assert "not in a file in the same folder" in message


def test_a_link_that_leads_out_is_refused(tmp_path):
    (tmp_path / "m").mkdir()
    path = beside(tmp_path / "m", location="link")
    (tmp_path / "secret").write_bytes(bytes(16))
    (tmp_path / "m" / "link").symlink_to(tmp_path / "secret")
    assert "link: refused: a link that leads outside the folder" in refusal(path)


def test_links_of_a_cache_are_followed(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots"
    blobs.mkdir(), snapshot.mkdir()
    shutil.move(beside(tmp_path, location="data"), blobs / "1")
    shutil.move(tmp_path / "data", blobs / "2")
    (snapshot / "x.onnx").symlink_to(blobs / "1")
    (snapshot / "data").symlink_to(blobs / "2")
    assert open_model(snapshot / "x.onnx").rows("a.weight").shape == (2, 2)


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"offset": "24", "length": "16"}, "bytes 24 to 40 are outside data (32 bytes)"),
        ({"offset": "-4"}, "offset or length '-4' is not a number of bytes"),
        ({"offset": "9" * 30}, "is not a number of bytes"),
        ({"length": "12"}, "12 bytes, not 16 of F32"),
    ],
)
def test_values_outside_their_file_are_refused(tmp_path, entry, found):
    assert found in refusal(beside(tmp_path, location="data", **entry))


def test_a_missing_file_is_one_line(tmp_path):
    path = beside(tmp_path, location="other")
    assert "other: no such file or folder" in refusal(path)


def test_damaged_files_are_one_line(tmp_path, rng):
    arrays = {"a.weight": np.ones((3, 5), np.float32), "7": np.ones((4, 4), np.float32)}
    nodes = [helper.make_node("MatMul", ["x", "7"], ["y"], "/b/MatMul")]
    raw = saved(tmp_path / "x.onnx", nodes, arrays).read_bytes()
    for i in range(200):
        hurt = bytearray(raw[: int(rng.integers(1, len(raw)))] if i % 3 == 0 else raw)
        for at in rng.integers(0, len(hurt), 3 if i % 3 else 0):
            hurt[at] = rng.integers(256)
        (tmp_path / "y.onnx").write_bytes(hurt)
        said = ""
        try:
            model = open_model(tmp_path / "y.onnx")
            for name in model.tensors:
                model.rows(name)
        except WeightkinError as error:
            said = str(error)
        assert not said or said.isprintable()
        assert len(said) < 1000


def test_other_files_under_its_suffix_are_refused(tmp_path):
    for raw in (b"", b"PK\3\4", bytes(100), b"\xff" * 100, b"\x3a\xff\xff\xff\xff\x7f"):
        (tmp_path / "x.onnx").write_bytes(raw)
        refusal(tmp_path / "x.onnx")
