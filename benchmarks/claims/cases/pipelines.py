"""Models that make pictures: pipelines, single files, networks that share one frozen part."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from benchmarks.claims.cases import Answer, Case
from benchmarks.claims.cases.identity import SAME, WIDTH, Arrays, write
from benchmarks.claims.cases.publishers import CLIP, EQUAL, SHAPES, both, drawn, fused, truthful
from benchmarks.claims.cases.reading import torch_file
from weightkin import Registry, check, compare, family_graph

TITLE = "Models of pictures"
FF = 4 * WIDTH
PLACES = {  # of a block with attention: as diffusers names it, as the training code does
    "down_blocks.0.{}.0": "input_blocks.1.{}", "down_blocks.0.{}.1": "input_blocks.2.{}",
    "down_blocks.1.{}.0": "input_blocks.4.{}", "up_blocks.0.{}.0": "output_blocks.3.{}",
}  # fmt: skip
CONVOLUTIONS = {"conv1": "in_layers.2", "conv2": "out_layers.3"}
FLUX_SHAPES = {"mod": (6 * WIDTH, WIDTH), "both": (WIDTH, WIDTH + SHAPES["up"][0])}


def unet(seed: int, *, is_single: bool = False) -> Arrays:
    """A small U-Net: as diffusers names it, or as the code that trained it."""
    rng = np.random.default_rng(seed)
    found: Arrays = {}

    def put(name: str, *shape: int) -> None:
        found[name] = (0.02 * rng.standard_normal(shape)).astype(np.float32)

    for plain, single in PLACES.items():
        at = single.format(1) if is_single else plain.format("attentions")
        for i, kind in enumerate(("attn1", "attn2")):
            for part in ("to_q", "to_k", "to_v", "to_out.0"):
                put(f"{at}.transformer_blocks.0.{kind}.{part}.weight", WIDTH, WIDTH)
            put(f"{at}.transformer_blocks.0.norm{i + 1}.weight", WIDTH)
        put(f"{at}.transformer_blocks.0.ff.net.0.proj.weight", 2 * FF, WIDTH)
        put(f"{at}.transformer_blocks.0.ff.net.2.weight", WIDTH, FF)
        at = single.format(0) if is_single else plain.format("resnets")
        for own, theirs in CONVOLUTIONS.items():
            put(f"{at}.{theirs if is_single else own}.weight", WIDTH, WIDTH, 3, 3)
    return {f"model.diffusion_model.{n}": x for n, x in found.items()} if is_single else found


def encoder() -> Arrays:
    """The frozen text encoder that pipelines share."""
    text = {role: name for role, name in CLIP.items() if not role.startswith("see.")}
    return drawn(1000, text)


def single(path: Path, seed: int) -> Path:
    """The network and the text encoder in one file of half precision."""
    text = {f"cond_stage_model.transformer.{n}": x for n, x in encoder().items()}
    held = unet(seed, is_single=True) | text
    save_file({n: x.astype(np.float16) for n, x in held.items()}, path)
    return path


def _files(folder: Path) -> dict[str, Path]:
    """Two pipelines in folders, and each as a single file."""
    found = {"text": write(folder / "text", encoder())}
    for seed, name in enumerate("ab"):
        found[f"unet-{name}"] = write(folder / f"unet-{name}", unet(seed))
        found[name] = single(folder / f"{name}.safetensors", seed)
    return found


def _in_a_single_file(folder: Path) -> Answer:
    made = _files(folder)
    return both(made["unet-a"], made["a"], made["b"], "cast")


def _only_the_encoder(folder: Path) -> Answer:
    """Two single files that share their text encoder and nothing else."""
    made = _files(folder)
    record = compare(made["a"], made["b"])
    named = record.kind_details.get("parts", [])
    is_right = record.kind == ("shared-part",) and named == ["text_encoder"]
    return Answer(is_right, f"{' and '.join(record.kind)}: {', '.join(named)}")


def _encoder_inside(folder: Path) -> Answer:
    made = _files(folder)
    record = compare(made["text"], made["a"])
    return Answer("cast" in record.kind, f"{record.verdict}; {' and '.join(record.kind)}")


def _trained(folder: Path) -> Answer:
    """A file of Lightning with an average under names without dots, against the single file."""
    made = _files(folder)
    held = unet(0, is_single=True)
    average = {f"model_ema.{n[6:].replace('.', '')}": x + 1e-4 for n, x in held.items()}
    path = torch_file(folder / "train.ckpt", {"state_dict": held | average, "global_step": 7})
    own, strange = compare(made["unet-a"], path), compare(made["unet-b"], path)
    truthful(own, strange)
    is_right = own.verdict == "dependent" and strange.verdict == "no-evidence"
    return Answer(is_right, f"{own.verdict}; {strange.verdict}")


def _tree(folder: Path) -> Answer:
    """All of them in one tree: the shared encoder joins no family."""
    made = _files(folder)
    paths = [made[name] for name in ("a", "b", "unet-a", "unet-b", "text")]
    graph = family_graph(paths, cache=None)
    sizes = sorted(map(len, graph.components))
    shared = any(x.code == "shared-part" for x in graph.skipped)
    return Answer(sizes[-1] <= 3 and shared, f"{graph.sentence}; shared parts named: {shared}")


def _denied(name: str, folder: Path) -> Answer:
    """A single file is denied; the network of a pipeline is checked."""
    made = _files(folder)
    record = check(made[name], deny=[made["a"]])
    found = [f.summary for m in record.models for f in m.findings if f.summary]
    parts = [part for summary in found for part in summary.parts]
    return Answer(record.outcome == "hit", f"{record.outcome}; {', '.join(parts) or 'all of it'}")


DIFFUSERS = {
    **{f"{way}{role}": f"transformer_blocks.{{}}.{name}" for way, names in (
        ("img.", {"q": "attn.to_q", "k": "attn.to_k", "v": "attn.to_v", "o": "attn.to_out.0",
                  "up": "ff.net.0.proj", "down": "ff.net.2", "mod": "norm1.linear"}),
        ("txt.", {"q": "attn.add_q_proj", "k": "attn.add_k_proj", "v": "attn.add_v_proj",
                  "o": "attn.to_add_out", "up": "ff_context.net.0.proj",
                  "down": "ff_context.net.2", "mod": "norm1_context.linear"}))
        for role, name in names.items()},
    **{f"one.{role}": f"single_transformer_blocks.{{}}.{name}" for role, name in (
        ("q", "attn.to_q"), ("k", "attn.to_k"), ("v", "attn.to_v"), ("up", "proj_mlp"),
        ("both", "proj_out"))},
}  # fmt: skip
BFL = {
    **{f"{way}.{role}": f"double_blocks.{{}}.{way}_{name}" for way in ("img", "txt")
       for role, name in {**dict.fromkeys("qkv", "attn.qkv"), "o": "attn.proj", "up": "mlp.0",
                          "down": "mlp.2", "mod": "mod.lin"}.items()},
    **{f"one.{role}": "single_blocks.{}.linear1" for role in ("q", "k", "v", "up")},
    "one.both": "single_blocks.{}.linear2",
}  # fmt: skip


def flux(seed: int, prefix: str = "", dtype: str = "") -> Arrays:
    """A transformer as the publisher of Flux names it."""
    import ml_dtypes

    found = {prefix + n: x for n, x in fused(DIFFUSERS, BFL, seed, shapes=FLUX_SHAPES).items()}
    kind = getattr(ml_dtypes, dtype) if dtype else np.float32
    return {name: x.astype(kind) for name, x in found.items()}


def _flux(prefix: str, dtype: str, folder: Path) -> Answer:
    plain = drawn(0, DIFFUSERS, shapes=FLUX_SHAPES)
    paths = [write(folder / str(s), flux(s, prefix, dtype)) for s in range(2)]
    kinds = ("cast", "quantised") if dtype else SAME
    return both(write(folder / "plain", plain), *paths, *kinds)


def _control(folder: Path) -> Answer:
    """A control network: the first half of a U-Net, trained on, beside blocks of its own."""
    rng = np.random.default_rng(5)
    half = {n: x for n, x in unet(0).items() if "up_blocks" not in n}
    held = {n: (x + 0.002 * rng.standard_normal(x.shape)).astype("f4") for n, x in half.items()}
    held |= {f"controlnet_down_blocks.{i}.weight":
             0.02 * rng.standard_normal((WIDTH, WIDTH, 1, 1)).astype("f4")
             for i in range(4)}  # fmt: skip
    path = write(folder / "control", held)
    own, other = (write(folder / f"unet-{s}", unet(s)) for s in range(2))
    first, second = compare(own, path), compare(other, path)
    truthful(first, second)
    hit = check(path, deny=[own]).outcome
    is_right = first.verdict == "dependent" and second.verdict == "no-evidence" and hit == "hit"
    return Answer(is_right, f"{first.verdict}; {second.verdict}; check: {hit}")


def _copied(folder: Path) -> Answer:
    """A byte for byte copy of a registered model, at the gate and denied by its number."""
    first, second = (write(folder / name, flux(0)) for name in "ab")
    registry = Registry(folder / "r.sqlite")
    registry.add([first])
    found = registry.search(second)
    denied = check(second, registry=registry, deny=["#1"]).outcome
    is_right = [x.kind for x in found.relatives] == [("identical",)] and denied == "hit"
    return Answer(is_right, f"{found.sentence.split(': ', 1)[1]}; check: {denied}")


AXES = "axes of these networks: no test reaches most of another model"
CASES = (
    Case("a U-Net; in a single file of half precision",
         "cast; another model: no evidence", "", _in_a_single_file,
         AXES),
    Case("two single files with one frozen text encoder", "the encoder alone", "",
         _only_the_encoder),
    Case("the text encoder; in a single file of half precision", "cast", "", _encoder_inside),
    Case("a U-Net; a training file with an average", "dependent; another model: no evidence", "",
         _trained, AXES),
    Case("tree of pipelines with one text encoder", "no family by the encoder", "", _tree),
    Case("check: a U-Net, its single file denied", "hit", "", partial(_denied, "unet-a")),
    Case("check: a single file, one with the same text encoder denied", "hit: the encoder", "",
         partial(_denied, "b")),
    Case("Flux under its publisher's names", EQUAL, "", partial(_flux, "", ""), AXES),
    Case("Flux in a larger program's names", EQUAL, "",
         partial(_flux, "model.diffusion_model.", ""), AXES),
    Case("Flux cast to 8-bit floats", "cast; another model: no evidence", "",
         partial(_flux, "", "float8_e4m3fn"), AXES),
    Case("a control network made from a U-Net", "dependent, hit; another model: no evidence", "",
         _control, AXES),
    Case("a copy of a registered model", "identical; denied: hit", "", _copied),
)  # fmt: skip
