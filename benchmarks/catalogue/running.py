"""How a module is run: its inputs, its outputs by path, kernels that hide nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch.nn.attention import flex_attention

Inputs: TypeAlias = Mapping[str, Any]

HIDDEN = re.compile(  # outputs that only the next layer reads; embeddings are copied by students
    r"(\A|\.)(\w*hidden_states?|state|pooler_output|feature_maps)(\Z|\.)"
)


def prepared(module: torch.nn.Module) -> torch.nn.Module:
    """Put a module into evaluation mode, its experts into plain loops (transformers)."""
    for own in module.modules():
        config: Any = getattr(own, "config", None)
        if hasattr(config, "_experts_implementation"):
            config._experts_implementation = "eager"
    return module.eval()


def hidden_outputs(module: torch.nn.Module, inputs: Inputs) -> list[tuple[str, int]]:
    """Return the outputs that are hidden states by their names, with all dimensions of each.

    The first dimension counts the inputs and stays; tokens are fixed by what is put in.
    """
    with torch.inference_mode():
        result = prepared(module)(**inputs)
    return [
        (path, dim) for path, x in leaves(result) if HIDDEN.search(path) for dim in range(1, x.ndim)
    ]


class plain_kernels:  # noqa: N801 (a context manager, read as a phrase)
    """Switch off fused kernels, which hide what they do."""

    def __enter__(self) -> None:
        self._mkldnn = torch._C._get_mkldnn_enabled()
        torch._C._set_mkldnn_enabled(False)
        self._fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        self._compiled = not flex_attention._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG
        flex_attention._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG = True

    def __exit__(self, *_: object) -> None:
        flex_attention._FLEX_ATTENTION_DISABLE_COMPILE_DEBUG = not self._compiled
        torch.backends.mha.set_fastpath_enabled(self._fast)
        torch._C._set_mkldnn_enabled(self._mkldnn)


def leaves(values: object, path: tuple[str, ...] = ()) -> list[tuple[str, torch.Tensor]]:
    """Tensors in nested containers, each with its path; what else an output holds is left out."""
    if isinstance(values, torch.Tensor):
        return [(".".join(path), values)]
    if isinstance(values, Mapping):
        items: Iterable[tuple[object, object]] = values.items()
    elif isinstance(values, (list, tuple)):
        items = enumerate(values)
    else:
        return []
    return [found for key, value in items for found in leaves(value, (*path, str(key)))]
