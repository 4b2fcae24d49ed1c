"""Checkpoints in the pieces that ranks of a distributed training hold: named, and how to join them.

Each piece has the names of the whole model and a part of its values, so that none of them is the
model. Known by the names of files alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from weightkin.text import unreadable

_RANK = re.compile(r"model_world_size_[0-9]+_rank_[0-9]+\.pt", re.ASCII)
_STATES = re.compile(r".*(?:_model_states|_optim_states)\.pt", re.ASCII)
_SHARD = re.compile(r"consolidated\.[0-9]{2}\.(?:pth|pt|safetensors)", re.ASCII)
_FOLDER = re.compile(r"mp_rank_[0-9]{2,3}(?:_[0-9]{3})*", re.ASCII)
MEGATRON = ("model_optim_rng.pt", "model_rng.pt", "distrib_optim.pt")
JOINED = {
    "rank": "one rank of a sharded model (FSDP, as verl saves it); join the ranks with"
    " python -m verl.model_merger merge --backend fsdp --local_dir FOLDER",
    "deepspeed": "a checkpoint of DeepSpeed; join it with python zero_to_fp32.py FOLDER OUTPUT"
    " (the script is in the checkpoint)",
    "megatron": "a checkpoint of Megatron-LM; convert it with its tools/checkpoint/convert.py or a"
    " bridge of Megatron",
    "shard": "one of several tensor-parallel shards (consolidated.NN); join them with"
    " convert_llama_weights_to_hf.py of transformers",
}


def refuse_pieces(folder: PurePath, names: Sequence[str]) -> None:
    """Refuse files of a folder, of which one is a piece of a model.

    Raises
    ------
    UnreadableModel
        It names the kind of checkpoint, and what joins the pieces.
    """
    for name in names:
        if (kind := _kind(folder, name)) is not None:
            raise unreadable(folder / name, JOINED[kind])


def _kind(folder: PurePath, name: str) -> str | None:
    """What kind of piece a file is, by its name and by what lies beside it."""
    if _RANK.fullmatch(name):
        return "rank"
    if _STATES.fullmatch(name):
        return "deepspeed"
    if name in MEGATRON and _FOLDER.fullmatch(PurePath(folder).name):
        return "megatron"
    if _SHARD.fullmatch(name):
        is_first, second = ".00." in name, name.replace(".00.", ".01.")
        is_alone = is_first and not (isinstance(folder, Path) and (folder / second).exists())
        return None if is_alone else "shard"
    return None
