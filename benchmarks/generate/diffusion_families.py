"""Grow three families of small diffusion models: a U-Net, a double-stream transformer and a VAE.

    python -m benchmarks.generate.diffusion_families [FOLDER]      (default: build/diffusion)

Each has two unrelated roots, trained on the same images in the same order from other seeds, and of
the first one fine-tunes, a LoRA, merges, casts and a member under its publisher's names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.generate.diffusion_copies import COPIES
from benchmarks.generate.diffusion_images import CONTEXT, POOLED, SIDE, Sort, images
from benchmarks.lib.growing import fit, in_place

BUILT = Path(__file__).parents[2] / "build" / "diffusion"
BATCH = 8
ROOT_LR, CHILD_LR, LORA_LR = 2e-3, 5e-4, 2e-3
RANK = 4
STEPS = (300, 60)  # of a root, and of a child


@dataclass(frozen=True, slots=True)
class Family:
    """How one kind of model is built, what it learns, and what a LoRA adapts."""

    build: Callable[[], Any]
    losses: Callable[[Any, Iterator[tuple[Tensor, Tensor]]], Iterator[Tensor]]
    adapted: tuple[str, ...]


def unet() -> Any:
    """GroupNorm of 32 groups, attention and cross-attention."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=SIDE,
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=CONTEXT,
        attention_head_dim=4,
        norm_num_groups=32,
    )


def flux() -> Any:
    """Two streams of tokens in two blocks, one stream in two more."""
    from diffusers import FluxTransformer2DModel

    return FluxTransformer2DModel(
        in_channels=12,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=4,
        joint_attention_dim=CONTEXT,
        pooled_projection_dim=POOLED,
        axes_dims_rope=(4, 6, 6),
    )


def vae() -> Any:
    """Two blocks a side around four latent channels."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(32, 64),
        layers_per_block=1,
        norm_num_groups=32,
        sample_size=SIDE,
    )


def denoised(model: Any, batches: Iterator[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
    """The noise of a cosine schedule is to be told from the image."""
    for clean, text in batches:
        noise, time = torch.randn_like(clean), torch.randint(1000, (len(clean),))
        angle = (time.float() / 1000 * torch.pi / 2)[:, None, None, None]
        told = model(clean * angle.cos() + noise * angle.sin(), time, text).sample
        yield (told - noise).square().mean()


def flowed(model: Any, batches: Iterator[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
    """The way from the image to the noise is to be told, in patches of two by two."""
    for clean, text in batches:
        tokens = nn.functional.pixel_unshuffle(clean, 2).flatten(2).transpose(1, 2)
        noise, time = torch.randn_like(tokens), torch.rand(len(tokens))
        at = time[:, None, None]
        side = clean.shape[-1] // 2
        rows = torch.cartesian_prod(torch.zeros(1), *[torch.arange(side).float()] * 2)
        told = model(
            hidden_states=(1 - at) * tokens + at * noise,
            timestep=time,
            encoder_hidden_states=text,
            pooled_projections=text.mean(dim=1)[:, :POOLED],
            txt_ids=torch.zeros(text.shape[1], 3),
            img_ids=rows,
        ).sample
        yield (told - (noise - tokens)).square().mean()


def rebuilt(model: Any, batches: Iterator[tuple[Tensor, Tensor]]) -> Iterator[Tensor]:
    """The image is to be given back from its latents."""
    for clean, _ in batches:
        latents = model.encode(clean).latent_dist
        told = model.decode(latents.sample()).sample
        yield (told - clean).square().mean() + 1e-4 * latents.kl().mean()


FAMILIES = {
    "unet": Family(unet, denoised, ("to_q", "to_v", "conv1")),
    "flux": Family(flux, flowed, ("to_q", "to_v", "add_q_proj", "add_v_proj", "proj_mlp")),
    "vae": Family(vae, rebuilt, ("to_q", "to_v", "conv1", "conv2")),
}
# parent of each, and the images that it learns from
TRAINED: Mapping[str, tuple[str | None, Sort]] = {
    "root-1": (None, "plain"),
    "root-2": (None, "plain"),
    "tuned-a": ("root-1", "stripes"),
    "tuned-a-a": ("tuned-a", "dark"),
    "tuned-b": ("root-1", "rings"),
    "lora": ("root-1", "dark"),
    "foreign": ("tuned-b", "stripes"),
}


def truth() -> dict[str, tuple[str, ...]]:
    """The parents of every member of a family."""
    found = {name: (parent,) if parent else () for name, (parent, _) in TRAINED.items()}
    return found | {name: copy.parents for name, copy in COPIES.items()}


def grow(
    kind: str,
    folder: Path = BUILT,
    *,
    steps: tuple[int, int] = STEPS,
    names: Collection[str] = (*TRAINED, *COPIES),
) -> dict[str, Path]:
    """Make what is missing of one family.

    Parameters
    ----------
    kind : str
        One of `FAMILIES`.
    folder : Path
        Where families are.
    steps : tuple of int
        Of a root, and of a child.
    names : collection of str
        Members to make, each with its parents.

    Returns
    -------
    dict of str to Path
        Every member by name. ``adapter`` is the LoRA alone; it is no member of the truth.
    """
    own, made = FAMILIES[kind], dict[str, Path]()
    for number, (name, (parent, sort)) in enumerate(TRAINED.items()):
        if name not in names:
            continue
        origin = made[parent] if parent else None
        course = sort, number, steps[origin is not None]
        made[name] = in_place(
            folder / kind / name,
            lambda draft, p=origin, c=course: _trained(own, draft, p, c),  # type: ignore[misc]
        )
    for name, copy in COPIES.items():
        if name not in names:
            continue
        sources = [made[parent] for parent in copy.parents]
        made[name] = in_place(
            folder / kind / name,
            lambda draft, c=copy, s=sources: c.write(draft, *s),  # type: ignore[misc]
        )
    return made | ({"adapter": made["lora"] / "adapter"} if "lora" in made else {})


def _trained(own: Family, folder: Path, parent: Path | None, course: tuple[Sort, int, int]) -> None:
    """Train one model on a sort of images under a seed, for a number of steps."""
    from peft import LoraConfig, get_peft_model

    sort, seed, n_steps = course
    torch.manual_seed(seed)
    model = own.build()
    if parent is not None:
        model = type(model).from_pretrained(parent, low_cpu_mem_usage=False)
    is_lora = folder.name.startswith(".lora.")
    learner = model
    if is_lora:
        settings = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=list(own.adapted))
        learner = get_peft_model(model, settings)
    order = images(sort, seed if parent else 0, BATCH)  # roots see the same in the same order
    lr = ROOT_LR if parent is None else LORA_LR if is_lora else CHILD_LR
    last = fit(learner, own.losses(learner, order), n_steps, lr, 0.01)
    print(f"{folder.parent.name} {folder.name}: loss {last:.3f}", file=sys.stderr, flush=True)
    if is_lora:
        learner.peft_config["default"].base_model_name_or_path = str(parent)
        learner.save_pretrained(folder / "adapter")
        model = learner.merge_and_unload()
    model.save_pretrained(folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    where = Path(sys.argv[1]) if sys.argv[1:] else BUILT
    for one in FAMILIES:
        grow(one, where)
