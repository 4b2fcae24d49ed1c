"""Files that training leaves: wrappers, several networks, parts of ranks, what lies beside them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.claims.cases import Answer, Case
from benchmarks.claims.cases.identity import SAME, Arrays, write
from benchmarks.claims.cases.publishers import EQUAL, LLAMA, N_BLOCKS, both, drawn, llama, meta
from benchmarks.claims.cases.reading import torch_file
from weightkin import Registry, check, compare, family_graph
from weightkin.errors import WeightkinError
from weightkin.sketch.source import open_model

TITLE = "What training leaves"
HIT = "hit"
Held = Callable[[Arrays, Arrays], Any]


def _under(prefix: str, arrays: Arrays) -> Arrays:
    return {prefix + name: x for name, x in arrays.items()}


def _moments(arrays: Arrays) -> dict[str, Any]:
    state = {i: {"step": np.float32(5) * np.ones(1, np.float32), "exp_avg": x, "exp_avg_sq": x**2}
             for i, x in enumerate(arrays.values())}  # fmt: skip
    return {"state": state, "param_groups": [{"lr": 6e-4, "params": list(range(len(state)))}]}


def _inside(arrays: Arrays, *wrappers: tuple[str, str]) -> Arrays:
    for old, new in wrappers:
        arrays = {name.replace(old, new): x for name, x in arrays.items()}
    return arrays


_FSDP = "._fsdp_wrapped_module._checkpoint_wrapped_module"
WRAPPED: dict[str, Callable[[Arrays], Any]] = {
    "torch.compile": partial(_under, "_orig_mod."),
    "DDP": partial(_under, "module."),
    "compile over DDP": partial(_under, "_orig_mod.module."),
    "compile, block by block": lambda x: _inside(
        x, (".self_attn.", "._orig_mod.self_attn."), (".mlp.", "._orig_mod.mlp.")),
    "compile, inside of blocks": lambda x: _inside(
        x, (".self_attn.", ".self_attn._orig_mod."), (".mlp.", ".mlp._orig_mod.")),
    "FSDP": lambda x: _under("_fsdp_wrapped_module.", _inside(
        x, (".self_attn.", f"{_FSDP}.self_attn."), (".mlp.", f"{_FSDP}.mlp."))),
    "an adapter that was merged": partial(_under, "base_model.model."),
    "a training script with its arguments": lambda x: {"model": x, "args": Namespace(lr=1e-4)},
}  # fmt: skip
GPT = {
    "table": "transformer.wte", "places": "transformer.wpe", "final": "transformer.ln_f",
    **{role: "transformer.h.{}." + name for role, name in (
        ("q", "attn.c_attn"), ("k", "attn.c_attn"), ("v", "attn.c_attn"), ("o", "attn.c_proj"),
        ("up", "mlp.c_fc"), ("down", "mlp.c_proj"), ("ln1", "ln_1"), ("ln2", "ln_2"))},
}  # fmt: skip


def _wrapped(change: Callable[[Arrays], Any], folder: Path) -> Answer:
    paths = [torch_file(folder / f"{seed}.pt", change(llama(seed))) for seed in range(2)]
    return both(write(folder / "plain", llama(0)), *paths)


def _nano(folder: Path) -> Answer:
    """GPT-2 as transformers stores it; trained by a script, transposed, with its optimiser."""
    paths = []
    for seed in range(2):
        own = {"_orig_mod." + n: x for n, x in drawn(seed, GPT).items()}
        file = {"model": own, "optimizer": _moments(own), "iter_num": 2000}
        paths.append(torch_file(folder / f"{seed}.pt", file))
    linear = (".c_attn.weight", ".c_proj.weight", ".c_fc.weight")
    turned = {n: np.ascontiguousarray(x.T) if n.endswith(linear) else x
              for n, x in drawn(0, GPT).items()}  # fmt: skip
    return both(write(folder / "plain", turned, model_type="gpt2"), *paths, *SAME)


NETWORKS: dict[str, Held] = {
    "an average of weights beside them": lambda a, b: {
        "state_dict": b, "state_dict_ema": a, "optimizer": _moments(b), "metric": 0.5},
    "model and model_ema": lambda a, b: {"model": b, "model_ema": a},
    "a student and its teacher": lambda a, b: {
        "student": _under("module.backbone.", b), "teacher": _under("backbone.", a), "epoch": 3},
    "a generator, its average and a critic": lambda a, b: {"g_ema": a, "g": a, "d": b},
    "Lightning": lambda a, b: {
        "state_dict": _under("model.", a) | _under("ema_model.", b), "callbacks": {}},
    "a list": lambda a, _: [a, _moments({})],
    "a pair": lambda a, _: (a, 3),
}  # fmt: skip


def _found(hold: Held, folder: Path) -> Answer:
    """One model somewhere in a file: compared, checked, searched for and in a tree."""
    a, b = llama(0), llama(1)
    path, first = torch_file(folder / "x.pt", hold(a, b)), write(folder / "a", a)
    registry = Registry(folder / "r.sqlite")
    registry.add([first])
    record = compare(first, path)
    said = {
        "compare": record.verdict == "dependent" and "fine-tuned" not in record.kind,
        "check": check(path, deny=[first]).outcome != "pass",
        "search": bool(registry.search(path).relatives),
        "tree": len(family_graph([first, path], cache=None).components) == 1,
    }
    missed = [name for name, is_right in said.items() if not is_right]
    return Answer(not missed, f"not in {', '.join(missed)}" if missed else "everywhere")


def _parts_of_meta(folder: Path) -> Answer:
    """Two tensor-parallel parts under Meta's names against the plain model: all values equal."""
    for seed in range(2):
        for rank in range(2):
            (folder / str(seed)).mkdir(exist_ok=True)
            torch_file(folder / str(seed) / f"consolidated.0{rank}.pth", _part(meta(seed), rank))
    return both(write(folder / "plain", llama(0)), folder / "0", folder / "1")


def _part(arrays: Arrays, rank: int) -> Arrays:
    rows, columns = ("wq", "wk", "wv", "w1", "w3", "output"), ("wo", "w2", "tok_embeddings")
    found: Arrays = {}
    for name, x in arrays.items():
        layer = name.split(".")[-2]
        axis = 0 if layer in rows else 1 if layer in columns else None
        found[name] = x if axis is None else np.split(x, 2, axis)[rank].copy()
    return found


def _halves(folder: Path) -> Answer:
    """Halves of all rows in two files of ranks: nothing says how to join them."""
    for rank in range(2):
        held = {n: np.array_split(x, 2)[rank].copy() for n, x in llama(0).items()}
        torch_file(folder / f"model_world_size_2_rank_{rank}.pt", held)
    try:
        return Answer(False, f"{len(open_model(folder).tensors)} tensors")
    except WeightkinError as error:
        return Answer(error.exit_code == 3, str(error).partition(": ")[2])


def _distributed(folder: Path) -> Answer:
    """A distributed checkpoint of torch, written by torch, against the plain model."""
    import torch
    import torch.distributed.checkpoint as dcp

    for seed in range(2):
        held = {name: torch.from_numpy(x) for name, x in llama(seed).items()}
        dcp.save({"model": held}, checkpoint_id=str(folder / str(seed)), no_dist=True)
    return both(write(folder / "plain", llama(0)), folder / "0", folder / "1")


def _deepspeed(folder: Path) -> Answer:
    """The whole module of DeepSpeed and the moments of a rank, at the gate."""
    held = llama(0)
    flat = np.concatenate([x.ravel() for x in held.values()])
    state = {"module": held, "optimizer": None, "ds_version": "0.16.0", "args": Namespace(lr=1)}
    place = folder / "run" / "global_step5"
    place.mkdir(parents=True)
    torch_file(place / "mp_rank_00_model_states.pt", state)
    moments = {"optimizer_state_dict": {"zero_stage": 2, "fp32_flat_groups": [flat]}}
    torch_file(place / "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt", moments)
    return _refused(folder / "run", write(folder / "denied", held))


def _megatron(folder: Path) -> Answer:
    """Two tensor-parallel ranks of Megatron at the gate."""
    for rank in range(2):
        place = folder / "run" / "iter_0000005" / f"mp_rank_0{rank}"
        place.mkdir(parents=True)
        state = {"model": _core(llama(0), rank), "iteration": 5, "checkpoint_version": 3.0,
                 "args": Namespace(num_layers=N_BLOCKS, tensor_model_parallel_size=2)}  # fmt: skip
        torch_file(place / "model_optim_rng.pt", state)
    return _refused(folder / "run", write(folder / "denied", llama(0)))


def _core(arrays: Arrays, rank: int) -> Arrays:
    def half(x: np.ndarray, axis: int = 0) -> np.ndarray:
        return np.split(x, 2, axis)[rank].copy()

    found = {"embedding.word_embeddings.weight": half(arrays["model.embed_tokens.weight"]),
             "decoder.final_layernorm.weight": arrays["model.norm.weight"],
             "output_layer.weight": half(arrays["lm_head.weight"])}  # fmt: skip
    for i in range(N_BLOCKS):
        part = {r: arrays[f"{LLAMA[r].format(i)}.weight"] for r in LLAMA if "{}" in LLAMA[r]}
        at = f"decoder.layers.{i}."
        found |= {
            f"{at}self_attention.linear_qkv.weight": np.concatenate(
                [half(part[x]) for x in "qkv"]),
            f"{at}self_attention.linear_proj.weight": half(part["o"], 1),
            f"{at}mlp.linear_fc1.weight": np.concatenate([half(part[x]) for x in ("gate", "up")]),
            f"{at}mlp.linear_fc2.weight": half(part["down"], 1),
            f"{at}self_attention.linear_qkv.layer_norm_weight": part["ln1"],
            f"{at}mlp.linear_fc1.layer_norm_weight": part["ln2"],
        }  # fmt: skip
    return found


def _refused(candidate: Path, denied: Path) -> Answer:
    record = check(candidate, deny=[denied])
    found = {finding.rule for model in record.models for finding in model.findings}
    return Answer(record.outcome != "pass", f"{record.outcome}: {', '.join(sorted(found))}")


def _mistral(denied: int, folder: Path) -> Answer:
    """A model in its library's files, and again under its publisher's names beside them."""
    from safetensors.numpy import save_file

    both_ways = write(folder / "model", llama(0))
    save_file(meta(0), both_ways / "consolidated.safetensors")
    record = check(both_ways, deny=[write(folder / "denied", llama(denied))])
    return Answer(record.outcome == ("pass" if denied else "hit"), record.outcome)


CASES = (
    *(Case(f"names of {name}", EQUAL, "", partial(_wrapped, x)) for name, x in WRAPPED.items()),
    Case("GPT-2 of a training script, transposed, with its optimiser",
         "equal; another model: no evidence", "", _nano),
    *(Case(f"a copy in a file of {name}", "everywhere", "", partial(_found, x))
      for name, x in NETWORKS.items()),
    Case("tensor-parallel parts under Meta's names", EQUAL, "", _parts_of_meta),
    Case("halves in two files of ranks", "one line", "", _halves),
    Case("a distributed checkpoint of torch", EQUAL, "", _distributed),
    Case("check: DeepSpeed's folder of a denied model", "hit, or named", "", _deepspeed),
    Case("check: Megatron's ranks of a denied model", "hit, or named", "", _megatron),
    Case("check: the denied model, under two publishers' names in one folder", HIT, "",
         partial(_mistral, 0)),
    Case("check: another model, under two publishers' names in one folder", "pass", "",
         partial(_mistral, 1)),
)  # fmt: skip
