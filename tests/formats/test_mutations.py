"""A valid file with bytes changed opens or is refused in one line; nothing else ever happens."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from tests.formats.handmade import mapping, program, tensor, torch_file
from weightkin.errors import WeightkinError
from weightkin.formats import digest, open_model

FUZZ = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
changes = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=6)
cut = st.one_of(st.none(), st.integers(0, 1 << 20))


def survive(path, raw, changes, cut):
    mutated = bytearray(raw)
    for position, byte in changes:
        mutated[position % len(mutated)] = byte
    path.write_bytes(mutated if cut is None else mutated[: cut % len(mutated)])
    try:
        model = open_model(path)
        digest(model)
        for name, info in model.tensors.items():
            assert model.rows(name).shape == info.shape
    except WeightkinError as error:
        assert str(error).isprintable()  # noqa: PT017  # either outcome is right, this line is the claim
        assert len(str(error)) < 1000  # noqa: PT017


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("valid")
    save_file(
        {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(1, np.int8)},
        folder / "x.safetensors",
        metadata={"format": "pt"},
    )
    body = mapping({"model": mapping({"w": tensor(), "t": tensor(strides=(1, 2))})})
    torch_file(folder / "x.bin", program(body))
    return folder


@FUZZ
@given(changes=changes, cut=cut)
def test_a_mutated_safetensors_file_opens_or_is_refused(valid, changes, cut):
    survive(valid / "y.safetensors", (valid / "x.safetensors").read_bytes(), changes, cut)


@FUZZ
@given(changes=changes, cut=cut)
def test_a_mutated_torch_file_opens_or_is_refused(valid, changes, cut):
    survive(valid / "y.bin", (valid / "x.bin").read_bytes(), changes, cut)


@FUZZ
@given(body=st.binary(max_size=200), spliced=st.integers(0, 1 << 10))
def test_a_random_pickle_is_refused_or_harmless(valid, body, spliced):
    whole = program(mapping({"w": tensor()}))
    at = spliced % len(whole)
    path = torch_file(valid / "z.bin", whole[:at] + body + whole[at:])
    survive(path, path.read_bytes(), [], None)


@FUZZ
@given(data=st.data())
def test_a_random_header_is_refused_or_harmless(valid, data):
    import json
    import struct

    number = st.one_of(st.integers(-5, 40), st.integers(), st.booleans(), st.floats(), st.none())
    entry = st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "U8", "F4", "BOOL", "XX", 3]),
            "shape": st.lists(number, max_size=3),
            "data_offsets": st.lists(number, max_size=3),
        }
    )
    header = data.draw(st.dictionaries(st.text(max_size=5), st.one_of(entry, number), max_size=3))
    text = json.dumps(header).encode()
    raw = struct.pack("<Q", len(text)) + text + bytes(data.draw(st.integers(0, 40)))
    survive(valid / "h.safetensors", raw, [], None)
