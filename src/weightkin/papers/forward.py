"""One forward pass of a model with hooks on every MLP: activations of all blocks, and outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from weightkin.anatomy.types import Place
from weightkin.arrays import Floats
from weightkin.errors import UsageError
from weightkin.papers.inputs import CannotRun, library
from weightkin.papers.loading import (
    Mlp,
    ffn,
    find_mlps,
    load,
    module_of,
    running,
    why_none,
    width_of,
)
from weightkin.papers.random_inputs import Inputs
from weightkin.records import Skipped, left_out

LOGITS_PER_BATCH = 1 << 25  # numbers of one batch of logits
KEPT_OUTPUTS = 1 << 26  # numbers of the output distributions kept, 256 MiB


@dataclass(frozen=True, slots=True)
class BlockActivations:
    """What the MLP of one block did, each of shape ``(n_units, n_tokens)``, float32.

    ``gate`` is the output of the gate projection, ``up`` that of the up projection, both before any
    nonlinearity; ``hidden`` is the input of the down projection. A plain MLP has no pair: its only
    projection is ``gate`` and ``up`` is None.
    """

    name: str  # "decoder.3", "decoder.3 mlp.shared"
    gate: Floats
    up: Floats | None
    hidden: Floats


@dataclass(frozen=True, slots=True)
class Activations:
    """One model on one set of inputs; ``log_outputs`` are log probabilities (None: no head)."""

    model: str
    inputs: str
    blocks: tuple[BlockActivations, ...]
    log_outputs: Floats | None  # (n_positions, n_outputs)
    skipped: tuple[Skipped, ...]


@dataclass
class _Table:
    """One table of activations while a pass fills it; one chunk for each call of its module."""

    place: Place
    is_input: bool
    chunks: list[Floats] = field(default_factory=list)

    def keep(self, values: Any) -> None:
        x = values.detach().reshape(-1, values.shape[-1])
        x = x[:, self.place.start : self.place.start + self.place.size]
        self.chunks.append(x.float().cpu().numpy().copy())

    def close(self) -> Floats:
        """Shape (n_units, n_tokens)."""
        joined = np.concatenate(self.chunks)
        self.chunks.clear()
        return np.ascontiguousarray(joined.T)


def record_activations(
    folder: str | Path, inputs: Inputs, *, device: str | None = None
) -> Activations:
    """Run a model once over all inputs and keep what every MLP did.

    Parameters
    ----------
    folder : str or Path
        Local folder with config.json and safetensors, of an architecture transformers knows.
        Nothing is downloaded and no code of the folder is run.
    inputs : Inputs
        Tokens, images, or vectors that every MLP is given by itself.
    device : str, optional
        By default ``cuda`` when there is one, else ``cpu``.

    Returns
    -------
    Activations
        Holds ``12 n_tokens`` bytes for each unit of a gated MLP and at most 256 MiB of output
        distributions, from positions evenly spread. The weights are let go.

    Raises
    ------
    CannotRun
        Packages are missing, transformers refuses the model, or no MLP can be watched.
    UsageError
        Inputs that are not of the kind or size the model reads.
    """
    torch = library("torch")
    model = load(folder)
    mlps, skipped = find_mlps(model)
    if not mlps:
        raise CannotRun(f"{folder}: no MLP can be watched ({why_none(skipped)})")
    _check_inputs(model, inputs, str(folder))
    model.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    tables = {mlp.name: {k: _Table(p, k == "hidden") for k, p in mlp.tables.items()}
              for mlp in mlps}  # fmt: skip
    with torch.inference_mode(), _hooks(model, tables), running(folder):
        if inputs.kind == "gaussian":
            n_batches, log_outputs = _feed_mlps(model, mlps, inputs), None
        else:
            n_batches, log_outputs = _feed_model(model, inputs)
    blocks: list[BlockActivations] = []
    for mlp in mlps:
        found = _close(mlp, tables.pop(mlp.name), n_batches)
        (blocks if isinstance(found, BlockActivations) else skipped).append(found)  # type: ignore[arg-type]
    if log_outputs is not None and not np.isfinite(log_outputs).all():
        skipped.append(left_out("outputs", "non-finite-outputs"))
        log_outputs = None
    return Activations(str(folder), inputs.kind, tuple(blocks), log_outputs, tuple(skipped))


def _check_inputs(model: Any, inputs: Inputs, folder: str) -> None:
    if inputs.kind == "gaussian":
        return
    reads_images = model.main_input_name == "pixel_values"
    if reads_images != (inputs.kind == "images"):
        wanted = "images" if reads_images else "tokens"
        raise UsageError(f"{folder}: the model reads {wanted}, but the inputs are {inputs.kind}")
    if not reads_images:
        n = model.get_input_embeddings().weight.shape[0]
        if inputs.values.min() < 0 or inputs.values.max() >= n:
            raise UsageError(f"{folder}: token {inputs.values.max()} is not within 0 to {n - 1}")


@contextmanager
def _hooks(model: Any, tables: Mapping[str, Mapping[str, _Table]]) -> Iterator[None]:
    """Copy the outputs of gate and up and the inputs of down into their tables."""
    modules, handles = dict(model.named_modules()), []
    for table in (t for of_block in tables.values() for t in of_block.values()):
        module = modules[module_of(table.place)]
        if table.is_input:
            hook = module.register_forward_pre_hook(lambda _m, args, t=table: t.keep(args[0]))
        else:
            hook = module.register_forward_hook(lambda _m, _args, out, t=table: t.keep(out))
        handles.append(hook)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _feed_model(model: Any, inputs: Inputs) -> tuple[int, Floats | None]:
    """Run all batches; return their number and log probabilities at evenly spread positions."""
    torch = library("torch")
    name = "pixel_values" if inputs.kind == "images" else "input_ids"
    n_wide = int(getattr(model.config.get_text_config(), "vocab_size", 0) or 1)
    size = max(1, LOGITS_PER_BATCH // (n_wide * math.prod(inputs.values.shape[1:])))
    starts = range(0, len(inputs.values), size)
    kept: list[Floats] = []
    for start in starts:
        batch = torch.from_numpy(inputs.values[start : start + size]).to(model.device)
        given = {name: batch}
        if model.config.is_encoder_decoder and name == "input_ids":
            given["decoder_input_ids"] = batch
        logits = getattr(model(**given), "logits", None)
        if logits is not None:
            flat = logits.reshape(-1, logits.shape[-1])
            n_all = len(flat) * len(inputs.values) // len(batch)
            stride = math.ceil(n_all * flat.shape[1] / KEPT_OUTPUTS)
            kept.append(flat[::stride].float().log_softmax(-1).cpu().numpy())
    return len(starts), np.concatenate(kept) if kept else None


def _feed_mlps(model: Any, mlps: list[Mlp], inputs: Inputs) -> int:
    """Give every MLP the same vectors, as one batch."""
    vectors = library("torch").from_numpy(inputs.values).to(model.device)
    for mlp in mlps:
        width = width_of(model, mlp)
        if width != vectors.shape[1]:
            raise UsageError(f"{mlp.name}: vectors of width {vectors.shape[1]}, not {width}")
        ffn(model, mlp)(vectors)
    return 1


def _close(mlp: Mlp, tables: Mapping[str, _Table], n_batches: int) -> BlockActivations | Skipped:
    """Join the chunks of one block, if its modules ran once a batch and stayed finite."""
    calls = {len(table.chunks) for table in tables.values()}
    if calls != {n_batches}:
        times = sorted(calls)
        return left_out(mlp.name, "projections-ran", n_times=times, n_batches=n_batches)
    closed = {key: table.close() for key, table in tables.items()}
    n_bad = sum(int((~np.isfinite(x)).sum()) for x in closed.values())
    if n_bad:
        return left_out(mlp.name, "non-finite-activations", n=n_bad)
    return BlockActivations(mlp.name, closed["gate"], closed.get("up"), closed["hidden"])
