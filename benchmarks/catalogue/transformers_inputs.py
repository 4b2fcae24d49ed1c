"""Inputs for classes of transformers, by the names of their arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch

LENGTH = 12
BATCH = 2


def tries(model: torch.nn.Module) -> Iterator[dict[str, Any]]:
    """Arguments to try: all that are known by name, then fewer."""
    names = inspect.signature(model.forward).parameters
    make = _Maker(model)
    required = [
        n for n, p in names.items() if p.default is p.empty and p.kind == p.POSITIONAL_OR_KEYWORD
    ]
    main = getattr(model, "main_input_name", "input_ids")
    main = main if isinstance(main, str) else main[0]
    first = dict.fromkeys([main, *required])
    extra = ["decoder_input_ids"] if make.is_pair else []
    both = [
        n for n in ("input_ids", "pixel_values", "input_values", "input_features") if n in names
    ]
    for wanted in ([*first, *both, *extra], [*first, *extra], [*first], ["input_ids", *extra]):
        inputs = {n: make(n) for n in dict.fromkeys(wanted) if n in names}
        inputs = {n: x for n, x in inputs.items() if x is not None}
        if inputs:
            yield inputs


class _Maker:
    """Makes one argument from its name."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model
        self.config = model.config
        self.generator = torch.Generator().manual_seed(7)
        self.is_pair = bool(getattr(self.config, "is_encoder_decoder", False))

    def __call__(self, name: str) -> Any:
        rule: Callable[[_Maker], Any] | None = _RULES.get(name)
        return rule(self) if rule else None

    def get(self, *names: str, default: Any = None) -> Any:
        """A field of the config, or of one inside it."""
        todo = [self.config]
        while todo:
            config = todo.pop(0)
            for name in names:
                try:
                    value = getattr(config, name, None)
                except Exception:
                    value = None
                if value is not None:
                    return value
            todo += [v for v in vars(config).values() if hasattr(v, "to_dict")]
        return default

    def ids(self) -> torch.Tensor:
        """Token ids that are no special tokens, as far as the vocabulary has others."""
        n = int(self.get("vocab_size", default=64))
        low = min(n - 1, max(3, n // 2))
        return torch.randint(low, n, (BATCH, LENGTH), generator=self.generator)

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator)

    def image(self) -> torch.Tensor:
        size = self.get("image_size", "crop_size", "img_size", default=64)
        h, w = (size, size) if isinstance(size, int) else (list(size) * 2)[:2]
        if isinstance(self.get("image_size"), dict):
            h, w = size["height"], size["width"]
        return self.normal(BATCH, int(self.get("num_channels", "in_channels", default=3)), h, w)


_RULES: dict[str, Callable[[_Maker], Any]] = {
    "input_ids": lambda m: m.ids(),
    "decoder_input_ids": lambda m: m.ids(),
    "pixel_values": lambda m: m.image(),
    "input_values": lambda m: m.normal(BATCH, 4000),
    "input_features": lambda m: m.normal(
        BATCH,
        int(m.get("num_mel_bins", "feature_size", default=80)),
        2 * int(m.get("max_source_positions", default=50)),
    ),
}
