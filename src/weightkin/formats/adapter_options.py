"""What the config of an adapter says: which options count, the scale and the rank of each module.

Every option that changes the merged values is computed or refused by its name; so is one that is
not known here, unless it is empty.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from weightkin.formats.patterns import PLAIN, CannotMatch, Matcher
from weightkin.text import quoted, unreadable

MAX_PAIRS = 3_000_000  # of modules and patterns: time
MERGED = ("LORA", "LOHA", "LOKR", "IA3")
# Options that are computed, or change nothing in a merge.
_KNOWN = frozenset(
    (
        *("peft_type", "peft_version", "auto_mapping", "base_model_name_or_path", "revision"),
        *("task_type", "inference_mode", "runtime_config", "megatron_core", "lora_dropout"),
        *("r", "lora_alpha", "alpha", "rank_pattern", "alpha_pattern", "use_rslora", "use_dora"),
        *(
            "target_parameters",
            "target_modules",
            "exclude_modules",
            "layers_to_transform",
            "layers_pattern",
        ),
        *("fan_in_fan_out", "bias", "lora_bias", "modules_to_save"),
        *("ensure_weight_tying", "trainable_token_indices", "init_lora_weights"),
        *(
            "loftq_config",
            "eva_config",
            "corda_config",
            "lora_ga_config",
            "qalora_group_size",
            "rank_dropout",
        ),
        *("rank_dropout_scale", "module_dropout", "use_effective_conv2d", "init_weights"),
        *("decompose_both", "decompose_factor", "feedforward_modules", "init_ia3_weights"),
        *("lora_dtype", "lorap_lr_ratio", "lorap_emb_lr"),  # of ms-swift, for training
    )
)
# Ways to start that leave the base as it is.
_KEEPS_BASE = (None, True, False, "gaussian", "eva", "orthogonal", "mica")


def check_options(config: Mapping[str, Any], file: PurePath) -> str:
    """The type of an adapter; refuse what changes the merged values and is not computed.

    Raises
    ------
    UnreadableModel
        It names the option.
    """
    kind = config.get("peft_type", "LORA")
    if kind not in MERGED:
        what = f"peft_type {quoted(kind)} is not supported, only {', '.join(MERGED)}"
        raise unreadable(file, f"{what}; merge it with peft first")
    start = config.get("init_lora_weights")
    if (start.lower() if isinstance(start, str) else start) not in _KEEPS_BASE:
        found = f"init_lora_weights is {quoted(start)}, which changes the base"
        raise unreadable(file, f"{found}; convert the adapter to plain LoRA")
    for key, value in config.items():
        if key not in _KNOWN and value not in (None, False, "", [], {}):
            raise unreadable(file, f"option {quoted(key)} is not supported; merge it with peft")
    return str(kind)


@dataclass(slots=True)
class Options:
    """What a config says of each module. ``config`` is empty for files that need none."""

    config: Mapping[str, Any]
    file: PurePath  # for messages
    matcher: Matcher = field(default_factory=Matcher)
    pairs: int = 0  # of modules and patterns looked at

    def rank(self, module: str, stored: int) -> int:
        """The rank of a module; where its factors tell it, they must agree."""
        found = self._of_module("rank_pattern", module, self.config.get("r", stored or 8))
        if type(found) is not int or found <= 0:
            raise unreadable(self.file, f"r is {quoted(found)} for {quoted(module)}, not a rank")
        if stored and found != stored:
            what = f"{quoted(module)} has rank {stored}, but r or rank_pattern gives it {found}"
            raise unreadable(self.file, what)
        return found

    def scaling(self, module: str, stored: int, key: str = "lora_alpha") -> float:
        """``alpha / r``, or ``alpha / sqrt(r)`` for rank-stabilised adapters.

        Parameters
        ----------
        module : str
            Name of the module in the base.
        stored : int
            Rank of its factors; 0 where they do not tell it.
        key : str
            Option that holds the common alpha.

        Returns
        -------
        float
            By what the product of the factors is multiplied.

        Raises
        ------
        UnreadableModel
            No number, or a rank that is not that of the factors.
        """
        rank = self.rank(module, stored)
        alpha = self._of_module("alpha_pattern", module, self.config.get(key, 8))
        is_number = isinstance(alpha, int | float) and not isinstance(alpha, bool)
        if not is_number or not math.isfinite(alpha) or abs(alpha) > 1e30:
            raise unreadable(self.file, f"{key} is {quoted(alpha)}, not a number")
        is_stable = bool(self.config.get("use_rslora"))
        return float(alpha) / (math.sqrt(rank) if is_stable else rank)

    def check_targeted(self, module: str) -> None:
        """Refuse factors of a module that PEFT would ignore, by the options that choose modules."""
        for key in ("exclude_modules", "target_modules"):
            wanted = self.config.get(key)
            if not wanted or wanted == "all-linear":
                continue
            is_named = self._is_named(module, key, wanted)
            if is_named == (key == "exclude_modules"):
                what = f"{key} leaves out {quoted(module)}, of which the adapter holds factors"
                raise unreadable(self.file, what)
        self._check_layer(module)

    def tokens(self, module: str) -> list[int]:
        """Rows of a table that the adapter replaces."""
        found = self.config.get("trainable_token_indices")
        if isinstance(found, dict):
            keys = [x for x in found if module == x or module.endswith(f".{x}")]
            found = found[keys[0]] if len(keys) == 1 else None
        if not isinstance(found, list) or any(type(x) is not int or x < 0 for x in found):
            what = f"trainable_token_indices does not list the rows of {quoted(module)}"
            raise unreadable(self.file, what)
        return found

    def _of_module(self, key: str, module: str, common: Any) -> Any:
        """The value of the first pattern that fits a module, as PEFT looks for it."""
        patterns = self.config.get(key) or {}
        if not isinstance(patterns, dict):
            raise unreadable(self.file, f"{key} is {quoted(patterns)}, not an object")
        self._count(key, len(patterns))
        for pattern, value in patterns.items():
            if self._fits(key, pattern, module):
                return value
        return common

    def _fits(self, key: str, pattern: str, module: str) -> bool:
        if PLAIN.fullmatch(pattern):  # a name, in which dots stand for any character
            return _is_ending(module, pattern)
        with self._checked(key, pattern):
            return self.matcher.match(rf"(.*\.)?({pattern})$", module)

    def _is_named(self, module: str, key: str, wanted: Any) -> bool:
        if isinstance(wanted, str):
            with self._checked(key, wanted):
                return self.matcher.fullmatch(wanted, module)
        if not isinstance(wanted, list) or not all(isinstance(x, str) for x in wanted):
            raise unreadable(self.file, f"{key} is {quoted(wanted)}, not a text or a list of texts")
        self._count(key, len(wanted))
        return any(module == x or module.endswith(f".{x}") for x in wanted)

    @contextmanager
    def _checked(self, key: str, pattern: str) -> Iterator[None]:
        try:
            yield
        except CannotMatch as error:
            raise unreadable(self.file, f"{key} has {quoted(pattern)}: {error}") from None

    def _check_layer(self, module: str) -> None:
        """Refuse factors in a layer that `layers_to_transform` does not list."""
        wanted = self.config.get("layers_to_transform")
        if wanted is None or wanted == [] or isinstance(self.config.get("target_modules"), str):
            return
        layers = wanted if isinstance(wanted, list) else [wanted]
        found = next((int(x) for x in self._layers_of(module)), None)
        if found not in layers:
            what = f"layers_to_transform leaves out {quoted(module)}, of which it holds factors"
            raise unreadable(self.file, what)

    def _layers_of(self, module: str) -> Iterator[str]:
        """The number of a module's layer: the first in its name, or that behind a given word."""
        words = self.config.get("layers_pattern") or []
        for word in [words] if isinstance(words, str) else words:
            if not isinstance(word, str) or not PLAIN.fullmatch(word) or "." in word:
                raise unreadable(self.file, f"layers_pattern {quoted(word)} is not supported")
            if found := re.search(rf"(?:^|\.){word}\.([0-9]{{1,9}})\.", module, re.ASCII):
                yield found[1]
        inside = [] if words else module.split(".")[2:-1]
        yield from (x for x in inside if x.isdecimal() and len(x) < 10)

    def _count(self, key: str, n: int) -> None:
        self.pairs += n
        if self.pairs > MAX_PAIRS:
            raise unreadable(self.file, f"{key} has too many entries for so many modules")


def _is_ending(module: str, name: str) -> bool:
    """Whether a name, in which a dot is any character, ends another at one of its dots."""
    before = len(module) - len(name) - 1
    if before < -1 or (before >= 0 and module[before] != "."):
        return False
    tail = module[before + 1 :]
    return tail == name or all(x in (c, ".") for x, c in zip(name, tail, strict=True))
