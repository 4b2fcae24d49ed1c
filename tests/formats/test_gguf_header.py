"""Claim: what a GGUF header may say, to its limits; the files are written byte by byte."""

import struct

import numpy as np
import pytest

from tests.formats.handmade import refusal
from weightkin.formats import open_model

U8, U32, F32, BOOL, TEXT, ARRAY, U64 = 0, 4, 6, 7, 8, 9, 10
PLAIN, HALF, Q8_0 = 0, 1, 8
ARCHITECTURE = ("general.architecture", TEXT, b"none")


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def value(kind, x) -> bytes:
    if kind == ARRAY:
        inner, items = x
        return struct.pack("<IQ", inner, len(items)) + b"".join(value(inner, y) for y in items)
    forms = {U8: "<B", U32: "<I", F32: "<f", BOOL: "<?", U64: "<Q"}
    return text(x) if kind == TEXT else struct.pack(forms[kind], x)


def gguf(path, facts=(), tensors=(), *, version=3, alignment=32, more=0):
    """Write facts as (key, kind, value) and tensors as (name, sizes, kind, bytes)."""
    facts = (ARCHITECTURE, *facts)
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(facts))
    for key, kind, x in facts:
        head += text(key.encode()) + struct.pack("<I", kind) + value(kind, x)
    data = b""
    for name, sizes, kind, raw in tensors:
        data += bytes(-len(data) % alignment)
        head += text(name.encode()) + struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes)
        head += struct.pack("<IQ", kind, len(data))
        data += raw
    path.write_bytes(head + bytes(-len(head) % alignment) + data + bytes(more))
    return path


ROWS = np.arange(6, dtype=np.float32)
W = ("w", (3, 2), PLAIN, ROWS.tobytes())  # GGUF lists sizes in reverse


@pytest.mark.parametrize("version", [2, 3])
def test_both_versions_that_are_in_use_are_read(tmp_path, version):
    model = open_model(
        gguf(tmp_path / "x.gguf", (), [W, ("v", (6,), PLAIN, W[3])], version=version)
    )
    assert model.rows("w").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert model.rows("v").tolist() == ROWS.tolist()
    assert not model.problems


@pytest.mark.parametrize("alignment", [1, 8, 64, 1 << 16])
def test_tensors_begin_where_the_alignment_puts_them(tmp_path, alignment):
    facts = [("general.alignment", U32, alignment)]
    path = gguf(tmp_path / "x.gguf", facts, [W, ("v", *W[1:])], alignment=alignment)
    model = open_model(path)
    assert model.rows("v").tolist() == model.rows("w").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert not model.problems


@pytest.mark.parametrize(
    ("kind", "alignment"), [(U32, 0), (U32, (1 << 16) + 1), (F32, 32.0), (BOOL, True), (TEXT, b"")]
)
def test_an_alignment_that_is_none_is_refused(tmp_path, kind, alignment):
    path = gguf(tmp_path / "x.gguf", [("general.alignment", kind, alignment)], [W])
    assert "alignment" in refusal(path)


def test_bytes_that_belong_to_no_tensor_are_named(tmp_path):
    """Up to the alignment they are padding."""
    for more, n_problems in ((0, 0), (31, 0), (32, 1)):
        model = open_model(gguf(tmp_path / "x.gguf", (), [W], more=more))
        assert len(model.problems) == n_problems
    assert model.problems[0].why.startswith("32 bytes at byte ")


def test_tensors_without_elements_are_tensors(tmp_path):
    model = open_model(gguf(tmp_path / "x.gguf", (), [("none", (3, 0), PLAIN, b""), W]))
    assert not model.problems
    assert model.rows("none").shape == (0, 3)


def test_as_many_base_models_as_are_allowed_are_declared(tmp_path):
    for n, n_declared in ((1, 1), (64, 64), (65, 0), (0, 0)):
        facts = [("general.base_model.count", U32, n), ("general.base_model.0.name", TEXT, b"base")]
        config = open_model(gguf(tmp_path / "x.gguf", facts, [W])).config
        assert len(config.get("declared_base_models", ())) == n_declared


TOKENS = ("tokenizer.ggml.tokens", ARRAY, (TEXT, [b"a", b"b", b"c"]))


@pytest.mark.parametrize(
    ("key", "kind", "n", "is_named"),
    [
        ("tokenizer.ggml.scores", F32, 3, False),  # one a token
        ("tokenizer.ggml.token_type", U32, 3, False),
        ("tokenizer.ggml.scores", F32, 4, True),  # more than there are tokens
        ("tokenizer.ggml.precompiled_charsmap", U8, 4, False),
        ("tokenizer.ggml.precompiled_charsmap", U8, 5, True),  # more than the table may take
        ("a.list.of.numbers", U32, 2, False),
        ("a.list.of.numbers", U32, 3, True),
        ("a.list.of.texts", TEXT, 3, False),
    ],
)
def test_numbers_that_describe_no_tokens_are_named(tmp_path, monkeypatch, key, kind, n, is_named):
    """They could be weights: of three tokens, two numbers are let pass here."""
    monkeypatch.setattr("weightkin.formats.gguf_header.MAX_LISTED", 2)
    monkeypatch.setattr("weightkin.formats.gguf_header.MAX_CHARSMAP", 4)
    values = [b"x"] * n if kind == TEXT else [1] * n
    model = open_model(gguf(tmp_path / "x.gguf", [TOKENS, (key, ARRAY, (kind, values))], [W]))
    said = [f"{n} numbers in arrays that describe no tokens"] if is_named else []
    assert [x.why for x in model.problems] == said
    assert model.rows("w").tolist() == [[0, 1, 2], [3, 4, 5]]  # what follows is found


def test_without_tokens_no_number_describes_one(tmp_path, monkeypatch):
    monkeypatch.setattr("weightkin.formats.gguf_header.MAX_LISTED", 0)
    scores = ("tokenizer.ggml.scores", ARRAY, (F32, [0.5]))
    assert open_model(gguf(tmp_path / "x.gguf", [scores], [W])).problems
    assert not open_model(gguf(tmp_path / "x.gguf", [TOKENS, scores], [W])).problems


def test_all_such_numbers_count_together(tmp_path, monkeypatch):
    monkeypatch.setattr("weightkin.formats.gguf_header.MAX_LISTED", 3)
    lists = [(f"list {i}", ARRAY, (U32, [1, 2])) for i in range(2)]
    (problem,) = open_model(gguf(tmp_path / "x.gguf", lists, [W])).problems
    assert problem.why.startswith("4 numbers")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (struct.pack("<IIQ", ARRAY, ARRAY, 1) + bytes(64), "type 9"),
        (struct.pack("<IIQ", ARRAY, 13, 1) + bytes(64), "type 13"),
        (struct.pack("<IIQ", ARRAY, U8, (1 << 24) + 1) + bytes(64), "16777217"),
        (struct.pack("<I", 13) + bytes(64), "type 13"),
        (struct.pack("<IIQ", ARRAY, U64, 1000) + bytes(64), "8000 bytes"),
    ],
    ids=["nested", "of no type", "too long", "no type", "beyond the header"],
)
def test_other_values_are_refused(tmp_path, raw, said):
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text(b"key") + raw)
    assert said in refusal(path)


def test_long_texts_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr("weightkin.formats.gguf_header.MAX_TEXT", 40)
    path = tmp_path / "x.gguf"
    for n, licence in ((40, "x" * 40), (41, None)):
        model = open_model(gguf(path, [("general.license", TEXT, b"x" * n)], [W]))
        assert model.config.get("declared_licence") == licence
        assert model.rows("w").tolist() == [[0, 1, 2], [3, 4, 5]]
    gguf(path, (), [("w" * 41, *W[1:])])
    assert "a name of 41 bytes" in refusal(path)


def test_a_tensor_has_four_dimensions_at_most(tmp_path):
    path = tmp_path / "x.gguf"
    model = open_model(gguf(path, (), [("w", (3, 1, 1, 2), *W[2:])]))
    assert model.tensors["w"].shape == (2, 1, 1, 3)
    gguf(path, (), [("w", (3, 1, 1, 1, 2), *W[2:])])
    assert "dimensions" in refusal(path)


@pytest.mark.parametrize(
    ("sizes", "kind", "why"),
    [((33, 2), Q8_0, "type Q8_0"), ((64,), Q8_0, "type Q8_0"), ((32, 2), 99, "type 99")],
)
def test_what_is_not_read_is_named_and_the_rest_is_read(tmp_path, sizes, kind, why):
    model = open_model(gguf(tmp_path / "x.gguf", (), [W, ("odd", sizes, kind, bytes(68))]))
    assert [(x.what, x.why) for x in model.problems] == [
        ("odd", f"{why} is not read for this shape")
    ]
    assert list(model.tensors) == ["w"]


def test_packed_rows_are_found_by_their_width(tmp_path):
    """One block of 32 codes and a scale in each row."""
    pytest.importorskip("gguf")
    raw = b"".join(struct.pack("<e32b", 0.5, *([i] * 32)) for i in range(3))
    model = open_model(gguf(tmp_path / "x.gguf", (), [("w", (32, 3), Q8_0, raw), ("v", *W[1:])]))
    info = model.tensors["w"]
    assert (info.dtype, info.shape, info.n_bytes, info.packed) == ("F32", (3, 32), 384, "Q8_0")
    assert model.rows("w", slice(1, 3)).tolist() == [[0.5] * 32, [1.0] * 32]
    assert model.rows("v").tolist() == [[0, 1, 2], [3, 4, 5]]


def test_tensors_that_overlap_or_leave_the_file_are_refused(tmp_path):
    path = gguf(tmp_path / "x.gguf", (), [W, ("v", *W[1:])])
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert "'v'" in refusal(path)
    offset = whole.index(text(b"v")) + 9 + 4 + 16 + 4  # behind name, sizes and type
    path.write_bytes(whole[:offset] + struct.pack("<Q", 16) + whole[offset + 8 :])
    assert "overlaps" in refusal(path)
    gguf(path, (), [W, W])
    assert "twice" in refusal(path)
