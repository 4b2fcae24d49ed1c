"""Checkpoints in the pieces that ranks of a distributed training hold: joined where that is safe.

Each piece has the names of the whole model and a part of its values, so that none of them is the
model. Known by the names of files alone; what cannot be joined is named, with the tool that can.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from weightkin.formats.rank_join import (
    Cut,
    check_meta,
    join_ranks,
    megatron_rule,
    meta_rule,
    without_states,
)
from weightkin.formats.safetensors_file import read_safetensors
from weightkin.formats.storage import Claim, Contents
from weightkin.formats.torch_globals import Record, TensorRecord
from weightkin.formats.torch_legacy import read_torch
from weightkin.formats.torch_zip import read_torch_zip
from weightkin.sources.files import File, Folder
from weightkin.text import located, quoted, unreadable

_RANK = re.compile(r"model_world_size_([0-9]{1,4})_rank_([0-9]{1,4})\.pt", re.ASCII)
_STATES = re.compile(r".*(?:_model_states|_optim_states)\.pt", re.ASCII)
_WHOLE_STATE = "mp_rank_00_model_states.pt"  # of DeepSpeed, where nothing of the model is cut
_SHARD = re.compile(r"consolidated\.([0-9]{2})\.(pth|pt|safetensors)", re.ASCII)
_FOLDER = re.compile(r"mp_rank_[0-9]{2,3}(?:_[0-9]{3})*", re.ASCII)
MEGATRON = ("model_optim_rng.pt", "model_rng.pt", "distrib_optim.pt")
MESH, MAX_MESH = "mesh of ", 1 << 16  # before the name of what tells the ranks apart; bytes of it
TRAINERS = ("optimizer", "opt_param_scheduler", "rng_state", "lr_scheduler", "optim")
JOINED = {
    "rank": "one rank of a sharded model (FSDP, as verl saves it); join the ranks with"
    " python -m verl.model_merger merge --backend fsdp --local_dir FOLDER",
    "deepspeed": "a checkpoint of DeepSpeed; join it with python zero_to_fp32.py FOLDER OUTPUT"
    " (the script is in the checkpoint)",
    "megatron": "one rank of a checkpoint of Megatron-LM; name the folder of all mp_rank_NN, or"
    " convert it with its tools/checkpoint/convert.py or a bridge of Megatron",
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
    here = folder if isinstance(folder, Path) else None
    if _RANK.fullmatch(name):
        return "rank"
    if _STATES.fullmatch(name):
        others = here.glob("mp_rank_01*") if here else ()
        return None if name == _WHOLE_STATE and not any(others) else "deepspeed"
    if name in MEGATRON and _FOLDER.fullmatch(folder.name):
        is_alone = name == MEGATRON[0] and folder.name == "mp_rank_00"
        is_alone = is_alone and here is not None and not any(here.parent.glob("mp_rank_01*"))
        return None if is_alone else "megatron"
    return None


def ranks_of(folder: Folder, names: Sequence[str]) -> list[str]:
    """The files of all ranks of which some are named, in their order; none if they are no ranks."""
    path = folder.path
    for name in names[:1]:
        if found := _SHARD.fullmatch(name):
            parts = (f"consolidated.{i:02d}.{found[2]}" for i in range(100))
            there = _first_of(folder, parts)
            return there if len(there) > 1 and name in there else []
        if found := _RANK.fullmatch(name):
            n = int(found[1])
            return [f"model_world_size_{n}_rank_{i}.pt" for i in range(n)]
    if not names and isinstance(path, Path) and (path / "mp_rank_00" / MEGATRON[0]).exists():
        if any(path.glob("mp_rank_[0-9][0-9]_*")):
            raise unreadable(path, JOINED["megatron"])
        return _first_of(folder, (f"mp_rank_{i:02d}/{MEGATRON[0]}" for i in range(100)))
    return []


def _first_of(folder: Folder, names: Any) -> list[str]:
    """Names in their order, up to the first that is not there."""
    found = []
    for name in names:
        path = folder.path
        is_there = (path / name).exists() if isinstance(path, Path) else name in folder.names
        if not is_there:
            break
        found.append(name)
    return found


def read_ranks(folder: Folder, names: Sequence[str]) -> tuple[Contents, list[File]]:
    """Tensors of a model whose ranks lie in these files."""
    files = [folder.open_file(name) for name in names]
    where = located(folder.path)
    if _SHARD.fullmatch(names[0]):
        return _meta(where, files), files
    if _RANK.fullmatch(names[0]):
        return _fsdp(where, files), files
    held: dict[str, Any] = {}
    parts = [without_states(read_torch_zip(file, _noted(held)), TRAINERS) for file in files]
    if held.get("n", len(files)) != len(files):
        what = f"{len(files)} of its {held['n']} tensor-parallel parts are here"
        raise unreadable(where, what)
    if len(files) == 1:
        return parts[0], files
    return join_ranks(where, parts, megatron_rule(parts[0].tensors)), files


def _meta(where: str, files: Sequence[File]) -> Contents:
    """Tensor-parallel parts of Meta."""
    read = read_safetensors if files[0].path.suffix == ".safetensors" else read_torch
    parts = [read(file) for file in files]
    norm = parts[0].tensors.get("norm.weight")
    if norm is None or len(norm.shape) != 1:
        raise unreadable(
            where, "tensor-parallel parts of a model without the norm that Meta's have"
        )
    joined = join_ranks(where, parts, meta_rule(norm.shape[0]))
    check_meta(where, joined, norm.shape[0])
    return joined


def _noted(held: dict[str, Any]) -> Any:
    """Note how many tensor-parallel ranks the arguments of Megatron state."""

    def note(root: object) -> object:
        args = root.get("args") if isinstance(root, dict) else None
        state = args.state if isinstance(args, Record) else None
        n = state.get("tensor_model_parallel_size") if isinstance(state, dict) else None
        if type(n) is int:
            held["n"] = n
        return root

    return note


def _fsdp(where: str, files: Sequence[File]) -> Contents:
    """Parts of FSDP that say how they are cut."""
    cuts: dict[str, Cut] = {}
    parts = [read_torch_zip(file, lambda root: _local(where, root, cuts)) for file in files]
    for part in parts:
        _drop_mesh(where, part)
    return join_ranks(where, parts, lambda name, _infos: cuts.get(name))


def _drop_mesh(where: str, part: Contents) -> None:
    """Leave out the numbers of the ranks, which every tensor holds."""
    for name in [x for x in part.tensors if x.startswith(MESH)]:
        place, n = part.places.pop(name), part.tensors.pop(name).n_bytes
        if n > MAX_MESH:
            raise unreadable(where, f"{n} bytes of numbers of ranks")
        span = (place.offset, place.offset + n)
        part.claims.append(Claim(place.file, [span], "container"))


def _local(where: str, root: object, cuts: dict[str, Cut]) -> object:
    """A state dict with the local part of every sharded tensor in its place."""
    if not isinstance(root, dict):
        raise unreadable(where, JOINED["rank"])
    found = Record()
    for name, value in root.items():
        match value:
            case Record(made_from=(_, _, (_, _, tuple(), *_), (_, dict() as state))):
                local, spec = state.get("_local_tensor"), state.get("_spec")
                said = spec.state if isinstance(spec, Record) else None
                placed = said.get("placements") if isinstance(said, dict) else None
                if not isinstance(local, TensorRecord) or not isinstance(placed, tuple):
                    raise unreadable(where, JOINED["rank"])
                if len(placed) != 1 or not isinstance(name, str):
                    raise unreadable(where, JOINED["rank"])
                cuts[name] = _placement(where, placed[0])
                found[name] = local
                found[f"{MESH}{name}"] = spec  # it holds the numbers of the ranks
            case _:
                raise unreadable(where, f"{quoted(name)} is cut, and nothing says how; it is "
                                 + JOINED["rank"])  # fmt: skip
    return found


def _placement(where: str, placed: object) -> Cut:
    """Along which dimension a tensor is cut among the ranks."""
    kind = placed.name.rpartition(".")[2] if isinstance(placed, Record) else ""
    dim = placed.state.get("dim") if isinstance(placed, Record) and placed.state else None
    if kind == "Replicate":
        return Cut(None)
    if kind != "Shard" or type(dim) is not int or not 0 <= dim < 32:
        raise unreadable(where, JOINED["rank"])
    return Cut(dim)
