"""Diffusion families: names of other publishers are right, and a sample of what is claimed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.lib import claim, generator

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from benchmarks.lib.publisher_names import bfl_flux, ldm_unet, ldm_vae  # noqa: E402
from diffusers.loaders import single_file_utils as single  # noqa: E402 (needs torch)

families = generator("diffusion_families")

WIDE, NARROW = 3072, 2  # the width that diffusers supposes of a Flux, and one of ours


def _given(model: Any) -> dict[str, Any]:
    return {name: x.numpy() for name, x in model.state_dict().items()}


def _tensors(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in arrays.items()}


def _are_equal(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return found.keys() == wanted.keys() and all(
        np.array_equal(found[name].numpy(), x) for name, x in wanted.items()
    )


def test_diffusers_reads_our_unet_from_a_single_file() -> None:
    model = families.unet()
    arrays = _given(model)
    back = single.convert_ldm_unet_checkpoint(_tensors(ldm_unet(arrays, 1)), model.config)
    assert _are_equal(back, arrays)


def test_diffusers_reads_our_autoencoder_from_a_single_file() -> None:
    model = families.vae()
    arrays = _given(model)
    back = single.convert_ldm_vae_checkpoint(_tensors(ldm_vae(arrays, 2)), model.config)
    assert _are_equal(back, arrays)


def test_diffusers_reads_our_flux_under_the_names_of_its_publisher() -> None:
    rng = np.random.default_rng(0)
    arrays = {}
    for name, x in families.flux().state_dict().items():
        is_joined = name.startswith("single_") and ("attn.to_" in name or "proj_mlp" in name)
        rows = len(x) if not is_joined else WIDE * (4 if "proj_mlp" in name else 1)
        shape = (rows, NARROW) if x.ndim == 2 else (rows,)
        arrays[name] = rng.standard_normal(shape, dtype=np.float32)
    back = single.convert_flux_transformer_checkpoint_to_diffusers(_tensors(bfl_flux(arrays)))
    assert _are_equal(back, arrays)


MEMBERS = ("root-1", "tuned-a", "tuned-b", "linear", "fp16")


@pytest.mark.claim("diffusion")
def test_a_family_of_autoencoders_has_no_wrong_parent(tmp_path: Path) -> None:
    diffusion = claim("diffusion")
    models = families.grow("vae", tmp_path, steps=(24, 8), names=MEMBERS)
    graph = diffusion.tree_of(models)
    found = diffusion.score(graph, {name: families.truth()[name] for name in models})
    assert found.wrong + found.missed + found.extra == ()
    assert {"linear", "fp16"} <= set(found.right)
    assert abs(diffusion.weights_off(graph)["linear"]) < 1e-3
