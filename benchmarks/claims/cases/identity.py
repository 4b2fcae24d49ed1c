"""Equal and unequal contents: files that hold the same values, or look as if they did."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from benchmarks.claims.cases import Answer, Case
from weightkin import Registry, check, compare, family_graph

Arrays = dict[str, npt.NDArray[Any]]
WIDTH, HIDDEN, HEADS, VOCABULARY = 64, 96, 4, 96
SAME = ("identical", "header-only", "equal-on-sample")


def model(seed: int, blocks: int = 6) -> Arrays:
    """A small Llama-like model with independent normal weights."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> npt.NDArray[np.float32]:
        return (0.02 * rng.standard_normal(shape)).astype(np.float32)

    arrays: Arrays = {
        "model.embed_tokens.weight": normal(VOCABULARY, WIDTH),
        "model.norm.weight": 1 + normal(WIDTH),
        "lm_head.weight": normal(VOCABULARY, WIDTH),
    }
    for i in range(blocks):
        block = f"model.layers.{i}."
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            arrays[f"{block}self_attn.{name}.weight"] = normal(WIDTH, WIDTH)
        arrays[f"{block}mlp.gate_proj.weight"] = normal(HIDDEN, WIDTH)
        arrays[f"{block}mlp.up_proj.weight"] = normal(HIDDEN, WIDTH)
        arrays[f"{block}mlp.down_proj.weight"] = normal(WIDTH, HIDDEN)
        for name in ("input_layernorm", "post_attention_layernorm"):
            arrays[f"{block}{name}.weight"] = 1 + normal(WIDTH)
    return arrays


def write(folder: Path, arrays: Arrays, **config: object) -> Path:
    """Write a model folder."""
    folder.mkdir()
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, folder / "model.safetensors")
    sizes = {
        "hidden_size": WIDTH, "intermediate_size": HIDDEN, "num_attention_heads": HEADS,
        "vocab_size": VOCABULARY, "model_type": "llama",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(sizes | config))
    return folder


def said(record: Any) -> str:
    """Verdict and kind in a few words."""
    return f"{record.sentence.split(' (')[0]}; {' and '.join(record.kind) or 'no kind'}"


def changed(change: Callable[[Arrays], Arrays], *right: str) -> Callable[[Path], Answer]:
    """A model and what became of it: `dependent`, and one of the kinds that are right."""

    def run(folder: Path) -> Answer:
        first = model(0)
        record = compare(write(folder / "a", first), write(folder / "b", change(dict(first))))
        is_right = record.verdict == "dependent" and bool(set(right) & set(record.kind))
        return Answer(is_right and "fine-tuned" not in record.kind, said(record))

    return run


def fused(arrays: Arrays) -> Arrays:
    """Queries, keys and values in one tensor, gate and up in another."""
    for joined, parts in (
        ("self_attn.qkv_proj", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
        ("mlp.gate_up_proj", ("mlp.gate_proj", "mlp.up_proj")),
    ):
        for i in range(6):
            names = [f"model.layers.{i}.{part}.weight" for part in parts]
            whole = np.concatenate([arrays.pop(name) for name in names])
            arrays[f"model.layers.{i}.{joined}.weight"] = whole
    return arrays


def renamed(arrays: Arrays) -> Arrays:
    """Names of another publisher: no name is left."""
    words = {"layers": "blocks", "self_attn": "attn", "_proj": "", "weight": "gamma", "norm": "ln"}
    for old, new in words.items():
        arrays = {name.replace(old, new): x for name, x in arrays.items()}
    return arrays


def transposed(arrays: Arrays) -> Arrays:
    """Linear layers as (inputs, outputs), under other names."""
    found = {n.replace("_proj", "_lin"): x.T if "_proj" in n else x for n, x in arrays.items()}
    return {n: np.ascontiguousarray(x) for n, x in found.items()}


def untied(arrays: Arrays) -> Arrays:
    """An unembedding of its own that is the embedding."""
    return arrays | {"lm_head.weight": arrays["model.embed_tokens.weight"].copy()}


def tied_pair(folder: Path) -> Answer:
    """One file without the unembedding, one with a copy of the embedding for it."""
    first = untied(model(0))
    tied = {name: x for name, x in first.items() if name != "lm_head.weight"}
    record = compare(write(folder / "a", tied), write(folder / "b", first))
    return Answer(record.verdict == "dependent" and set(record.kind) <= set(SAME), said(record))


def shard_lost(arrays: Arrays) -> Arrays:
    """Half of the tensors are missing, in no order of blocks."""
    return {name: x for i, (name, x) in enumerate(sorted(arrays.items())) if i % 3}


def repeated(arrays: Arrays) -> Arrays:
    """Six blocks piled up to eight."""
    found = {name: x for name, x in arrays.items() if ".layers." not in name}
    for new, old in enumerate((0, 1, 2, 3, 2, 3, 4, 5)):
        for name, x in arrays.items():
            if name.startswith(f"model.layers.{old}."):
                found[name.replace(f".{old}.", f".{new}.", 1)] = x
    return found


def inside(arrays: Arrays) -> Arrays:
    """Rounded to half precision, inside a larger file."""
    rng = np.random.default_rng(9)
    found: Arrays = {f"text.{n}": x.astype(np.float16) for n, x in arrays.items()}
    for i in range(3):
        found[f"picture.{i}.weight"] = rng.standard_normal((WIDTH, WIDTH)).astype(np.float16)
    return found


def turned(arrays: Arrays) -> Arrays:
    """Rows of queries and keys in the order of another library."""
    for name in list(arrays):
        if "q_proj" in name or "k_proj" in name:
            x = arrays[name].reshape(HEADS, 2, WIDTH // HEADS // 2, WIDTH)
            arrays[name] = x.swapaxes(1, 2).reshape(WIDTH, WIDTH)
    return arrays


def summed_again(arrays: Arrays) -> Arrays:
    """Added to and taken away again: equal up to the last digits."""
    for name in list(arrays):
        if "q_proj" in name:
            arrays[name] = (arrays[name] + np.float32(0.01)) - np.float32(0.01)
    return arrays


def experts(folder: Path) -> Answer:
    """Eight experts in one tensor; only the seventh differs between two models."""
    rng = np.random.default_rng(3)
    first = {n: x for n, x in model(0, 2).items() if ".mlp." not in n}
    for i in range(2):
        block = f"model.layers.{i}.mlp."
        first[f"{block}gate.weight"] = rng.standard_normal((8, WIDTH)).astype(np.float32)
        first[f"{block}experts.gate_up_proj"] = rng.standard_normal((8, 64, WIDTH)).astype("f4")
        first[f"{block}experts.down_proj"] = rng.standard_normal((8, WIDTH, 32)).astype("f4")
    second = {name: x.copy() for name, x in first.items()}
    second["model.layers.1.mlp.experts.down_proj"][6] *= -1
    config = {"model_type": "qwen3_moe", "num_experts": 8, "moe_intermediate_size": 32}
    record = compare(write(folder / "a", first, **config), write(folder / "b", second, **config))
    return Answer(not set(SAME) & set(record.kind), said(record))


def onnx_pair(kind: str) -> Callable[[Path], Answer]:
    """Two graphs that differ in one weight that no product of matrices reads."""

    def run(folder: Path) -> Answer:
        import onnx
        from onnx import helper, numpy_helper

        paths = []
        for seed in (1, 2):
            rng = np.random.default_rng(seed)
            layers = {n: x for n, x in model(0).items() if ".mlp." in n}
            held = [numpy_helper.from_array(x, n) for n, x in layers.items()]
            own = rng.standard_normal((1, 32, 8)).astype(np.float32)
            weight = numpy_helper.from_array(own, "onnx::W_9")
            nodes = [helper.make_node("MatMul", ["x", n], [f"{n}:out"]) for n in layers]
            if kind == "If":
                inner = helper.make_graph([], "then", [], [], [weight])
                nodes.append(helper.make_node("If", ["c"], ["y"], "if", then_branch=inner))
            elif kind == "Add":
                nodes.append(helper.make_node("Add", ["h", "onnx::W_9"], ["y"]))
                held.append(weight)
            else:
                nodes.append(helper.make_node(kind, ["h", "onnx::W_9"], ["y"], hidden_size=8))
                held.append(weight)
            graph = helper.make_graph(nodes, "g", [], [], held)
            paths.append(folder / f"{seed}.onnx")
            onnx.save(helper.make_model(graph), paths[-1])
        record = compare(*paths)
        return Answer(not set(SAME) & set(record.kind), said(record))

    return run


def unknown_names(seed: int) -> Arrays:
    """Matrices in no block that anything is known of."""
    rng = np.random.default_rng(seed)
    return {f"part_{i}.kernel": rng.standard_normal((40, 40)).astype("f4") for i in range(4)}


def copy_found(folder: Path) -> Answer:
    """A copy of a registered model of which no axis is known, searched for."""
    first = write(folder / "a", unknown_names(0))
    second = write(folder / "b", unknown_names(0))
    registry = Registry(folder / "r.sqlite")
    registry.add([first])
    found = registry.search(second)
    is_right = [x.kind for x in found.relatives] == [("identical",)]
    return Answer(is_right, found.sentence.split(": ", 1)[1])


def stranger_searched(folder: Path) -> Answer:
    """A stranger of which no axis is known, searched for."""
    registry = Registry(folder / "r.sqlite")
    registry.add([write(folder / "a", unknown_names(0))])
    found = registry.search(write(folder / "b", unknown_names(1))).sentence.split(": ", 1)[1]
    return Answer(found.startswith("not testable"), found)


def stranger_checked(folder: Path) -> Answer:
    """The same at the gate."""
    registry = Registry(folder / "r.sqlite")
    registry.add([write(folder / "a", unknown_names(0))])
    found = check(write(folder / "b", unknown_names(1)), registry=registry)
    return Answer(found.outcome == "incomplete", found.sentence)


def strangers_in_a_tree(folder: Path) -> Answer:
    """Two of them in a family graph."""
    paths = [write(folder / name, unknown_names(i)) for i, name in enumerate("ab")]
    found = family_graph(paths, cache=None).sentence
    return Answer("without relatives" not in found and "not testable" in found, found)


def part_equal(folder: Path) -> Answer:
    """No axis is known, and three of four matrices are equal under other names."""
    first, second = unknown_names(0), unknown_names(1)
    for i in range(3):
        second[f"other_{i}"] = first[f"part_{i}.kernel"]
        del second[f"part_{i}.kernel"]
    record = compare(write(folder / "a", first), write(folder / "b", second))
    return Answer("75 % of parameters are equal" in record.sentence, record.sentence)


def layouts_in_a_tree(folder: Path) -> Answer:
    """One model under the names of two publishers, and a stranger."""
    first = model(0)
    paths = [
        write(folder / "a", first),
        write(folder / "b", renamed(fused(dict(first)))),
        write(folder / "c", model(1)),
    ]
    graph = family_graph(paths, cache=None)
    same = [e.kind for e in graph.edges] == ["header-only"] and graph.edges[0].distance == 0
    same = same or graph.nodes[0].duplicates == ("b",)
    return Answer(same, graph.sentence)


TITLE = "What is equal, and what is not"
CASES = (
    Case("ONNX, other values of an LSTM", "not equal", "dependent; identical", onnx_pair("LSTM")),
    Case("ONNX, other values of a bias", "not equal", "dependent; identical", onnx_pair("Add")),
    Case("ONNX, other values in a branch", "not equal", "dependent; identical", onnx_pair("If")),
    Case("one of 8 stacked experts differs", "not equal", "dependent; identical", experts),
    Case("other names", "equal", "not testable", changed(renamed, *SAME)),
    Case("q, k and v fused, gate and up", "equal", "fine-tuned", changed(fused, *SAME)),
    Case("linear layers transposed", "equal", "not testable", changed(transposed, *SAME)),
    Case("tied; untied with equal values", "equal", "fine-tuned", tied_pair),
    Case("a shard lost", "part", "fine-tuned", changed(shard_lost, "part")),
    Case("6 blocks piled up to 8", "stacked", "header-only", changed(repeated, "stacked")),
    Case("fp32; fp16 in a larger file", "cast, part", "fine-tuned", changed(inside, "cast")),
    Case("rows of q and k in another order", "equal", "fine-tuned", changed(turned, *SAME)),
    Case("equal up to rounding", "rounding", "fine-tuned", changed(summed_again, "rounding")),
    Case("search: a copy, no axis known", "identical", "no evidence", copy_found),
    Case(
        "search: an unrelated model, no axis known",
        "not testable",
        "no evidence",
        stranger_searched,
    ),
    Case("the same at the gate", "exit 2", "passed", stranger_checked),
    Case("tree: no axis known", "not testable", "2 without relatives", strangers_in_a_tree),
    Case("3 of 4 matrices equal", "not testable; 75 % equal", "not testable", part_equal),
    Case("tree: two publishers' names", "1 family", "3 without relatives", layouts_in_a_tree),
)
