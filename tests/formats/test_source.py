"""A source is a local folder or file; the right files count; nothing is ever written."""

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.formats.handmade import index, mapping, program, refusal, tensor, torch_file
from weightkin.formats import digest, full_digest, open_model


def weights(path: Path, value: float = 1.0, name: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.full((3, 2), value, np.float32)}, path)
    return path


@pytest.mark.parametrize(
    "source",
    ["/no/such/path", "no-such-folder", "a/b/c", "tests/name", "", "a\0b", "x" * 5000],
)
def test_what_does_not_exist_is_said_to_be_missing(source):
    message = refusal(source)
    assert "no such file or folder; a model on a hub" in message or "File name too long" in message


def test_an_empty_folder_is_refused(tmp_path):
    assert "no model file among 0 entries; supported are .safetensors," in refusal(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert "no model file among 1 entry" in refusal(tmp_path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    assert "not a model file (.txt); supported are .safetensors," in refusal(tmp_path / "notes.txt")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.safetensors")
    assert "not a regular file" in refusal(tmp_path)


def test_a_folder_named_like_a_file_is_refused(tmp_path):
    (tmp_path / "model.safetensors").mkdir()
    assert "not a regular file" in refusal(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path):
    weights(tmp_path / "x.safetensors").chmod(0)
    assert "Permission denied" in refusal(tmp_path / "x.safetensors")


def test_a_name_is_the_folder_or_the_file(tmp_path, monkeypatch):
    folder = weights(tmp_path / "llama" / "model.safetensors").parent
    other = weights(tmp_path / "llama" / "variant.safetensors")
    assert open_model(folder).name == "llama"
    assert open_model(f"{folder}/").name == "llama"
    assert open_model(folder / "model.safetensors").name == "llama"
    assert open_model(other).name == "variant"
    assert open_model(str(folder)).source == str(folder)
    monkeypatch.chdir(folder)
    assert open_model(".").name == "llama"
    assert open_model("model.safetensors").name == "llama"


def test_a_standard_file_goes_before_an_index_and_safetensors_before_torch(tmp_path):
    torch_file(tmp_path / "pytorch_model.bin", program(mapping({"torch": tensor()})))
    assert list(open_model(tmp_path).tensors) == ["torch"]
    weights(tmp_path / "part.safetensors", name="file")
    assert list(open_model(tmp_path).tensors) == ["file"]
    weights(tmp_path / "other.safetensors", name="second")
    assert list(open_model(tmp_path).tensors) == ["file", "second"]
    index(tmp_path, {"file": "part.safetensors"})
    assert list(open_model(tmp_path).tensors) == ["file"]
    weights(tmp_path / "model.safetensors", name="standard")  # as libraries choose
    assert list(open_model(tmp_path).tensors) == ["standard"]


def test_several_indexes_are_refused_unless_one_is_standard(tmp_path):
    weights(tmp_path / "1.safetensors")
    index(tmp_path, {"w": "1.safetensors"}, "x.safetensors.index.json")
    assert list(open_model(tmp_path).tensors) == ["w"]
    index(tmp_path, {"w": "1.safetensors"}, "model.fp16.safetensors.index.json")
    assert "2 index files; name the one to read" in refusal(tmp_path)
    index(tmp_path, {"w": "1.safetensors"})
    assert list(open_model(tmp_path).tensors) == ["w"]


def test_an_adapter_alone_is_refused(tmp_path):
    weights(tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "an adapter, which is read with its base" in refusal(tmp_path)
    weights(tmp_path / "model.safetensors", name="base")
    assert list(open_model(tmp_path).tensors) == ["base"]


def test_a_config_is_a_hint(tmp_path):
    weights(tmp_path / "model.safetensors")
    assert open_model(tmp_path).config == {}
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert open_model(tmp_path).config == {"model_type": "llama"}
    for broken in ("{", "[]", "\udcff", "[" * 100_000, '{"a": 1, "a": 2}'):
        (tmp_path / "config.json").write_bytes(broken.encode("utf-8", "surrogateescape"))
        model = open_model(tmp_path)
        assert model.config == {}
        (problem,) = model.problems
        assert problem.what == "config.json"
        assert not model.is_partial


def test_a_config_too_large_is_not_read(tmp_path, monkeypatch):
    weights(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    monkeypatch.setattr("weightkin.formats.folder.MAX_CONFIG", 5)
    assert "config.json: too large (23 bytes, at most 5)" in open_model(tmp_path).problems[0].why


def test_the_layout_of_the_hub_cache_is_followed(tmp_path):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    weights(blobs / "f00d.safetensors").rename(blobs / "f00d")
    (snapshot / "model.safetensors").symlink_to("../../blobs/f00d")
    assert open_model(snapshot).rows("w").tolist() == [[1, 1]] * 3
    index(snapshot, {"w": "model.safetensors"})
    assert open_model(snapshot).rows("w").tolist() == [[1, 1]] * 3


def test_a_dangling_link_is_refused(tmp_path):
    (tmp_path / "model.safetensors").symlink_to("nowhere")
    assert "no such file or folder" in refusal(tmp_path)


def test_names_of_files_never_reach_the_terminal_raw(tmp_path):
    folder = tmp_path / "a\nb\x1b[31m"
    folder.mkdir()
    refusal(folder)
    (folder / "x\n.safetensors").write_bytes(b"")
    refusal(folder)


def test_nothing_is_written_beside_a_model(tmp_path):
    torch_file(tmp_path / "pytorch_model.bin", program(mapping({"w": tensor()})))
    weights(tmp_path / "x.safetensors")
    (tmp_path / "config.json").write_text("{}")

    def listing():
        return {
            path.name: (path.stat().st_mtime_ns, path.stat().st_size, path.read_bytes())
            for path in [tmp_path, *tmp_path.iterdir()]
            if path.is_file()
        }, tmp_path.stat().st_mtime_ns

    before = listing()
    for source in (tmp_path, tmp_path / "pytorch_model.bin"):
        model = open_model(source)
        digest(model)
        full_digest(model)
        model.rows("w")
    assert listing() == before


def test_reading_imports_neither_torch_nor_safetensors(tmp_path):
    import subprocess
    import sys

    weights(tmp_path / "model.safetensors")
    code = (
        "import sys; from weightkin.formats import open_model; "
        f"open_model({str(tmp_path)!r}).rows('w'); "
        "sys.exit(bool({'torch', 'safetensors', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_components_of_a_pipeline_are_one_model(tmp_path):
    diffusers = pytest.importorskip("diffusers")
    sizes = {"block_out_channels": (32,), "norm_num_groups": 8, "layers_per_block": 1}
    kinds = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}
    unet = diffusers.UNet2DModel(sample_size=8, **sizes, **kinds)
    pipeline = diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler())
    pipeline.save_pretrained(tmp_path)
    whole, model = open_model(tmp_path), open_model(tmp_path / "unet")
    assert set(whole.tensors) == {f"unet.{name}" for name in unet.state_dict()}
    assert set(model.tensors) == set(unet.state_dict())
    assert whole.config["components"]["unet"] == model.config
    assert not whole.problems
    (tmp_path / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"{}")
    assert "not a safetensors file" in refusal(tmp_path)


def test_a_broken_component_is_a_problem_of_the_pipeline(tmp_path):
    for name in ("unet", "vae"):
        (tmp_path / name).mkdir()
        weights(tmp_path / name / "model.safetensors")
    (tmp_path / "model_index.json").write_text("{}")
    (tmp_path / "vae" / "model.safetensors").write_bytes(b"\0" * 20)
    model = open_model(tmp_path)
    assert set(model.tensors) == {"unet.w"}
    assert [x.what for x in model.problems] == ["vae"]
    assert model.is_partial


def test_of_a_sentence_transformer_the_transformer_is_read(tmp_path):
    sentence = pytest.importorskip("sentence_transformers")
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        vocab_size=50,
    )
    bert = transformers.BertModel(config)
    bert.save_pretrained(tmp_path / "bert")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n")
    transformers.BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(tmp_path / "bert")
    made = sentence.SentenceTransformer(str(tmp_path / "bert"), device="cpu")  # adds a pooling
    made.save(str(tmp_path / "s"))
    assert (tmp_path / "s" / "modules.json").exists()
    model = open_model(tmp_path / "s")
    assert set(model.tensors) == set(bert.state_dict()) - {"embeddings.position_ids"}
