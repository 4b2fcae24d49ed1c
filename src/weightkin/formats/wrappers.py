"""Names of tensors without what wrappers of modules put into them (compile, DDP, FSDP)."""

from __future__ import annotations

from collections.abc import Iterable

# what torch.compile, FSDP and activation checkpointing put anywhere in a name
INSIDE = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
OUTSIDE = "module."  # what DDP and DataParallel put before every name


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """The names that wrappers changed, each with its name without them.

    None at all where two tensors would come to have one name.
    """
    stored = list(names)
    plain = [_without_inside(name) for name in stored]
    while plain and all(name.startswith(OUTSIDE) and name != OUTSIDE for name in plain):
        plain = [name.removeprefix(OUTSIDE) for name in plain]
    if len(set(plain)) != len(plain):
        return {}
    return {a: b for a, b in zip(stored, plain, strict=True) if a != b}


def _without_inside(name: str) -> str:
    if not any(word in name for word in INSIDE):
        return name
    return ".".join(part for part in name.split(".") if part not in INSIDE) or name
