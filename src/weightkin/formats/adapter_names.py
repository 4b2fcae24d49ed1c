"""Names in the files of adapters: which module of the base a tensor changes, and what it is to it.

PEFT, kohya and LyCORIS, diffusers of all ages and ComfyUI name the same few parts in their own
ways. A file is an adapter by these names, whatever it is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from weightkin.formats.model import TensorInfo

WRAPPED = ("base_model.model.", "base_model.")
A, B = "lora_A", "lora_B"
EMBEDDING_A, EMBEDDING_B = "lora_embedding_A", "lora_embedding_B"
BIAS, MAGNITUDE, ALPHA = "lora_B.bias", "lora_magnitude_vector", "alpha"
TOKENS, IA3 = "trainable_tokens_delta", "ia3_l"
HADA = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
LOKR = ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b")
WHOLE, UNKNOWN = "whole", "unknown"
PARTS_OF = {  # by the type that the config of PEFT names
    "LORA": (A, B, EMBEDDING_A, EMBEDDING_B, BIAS, MAGNITUDE, TOKENS, WHOLE),
    "LOHA": (*HADA, TOKENS, WHOLE),
    "LOKR": (*LOKR, TOKENS, WHOLE),
    "IA3": (IA3, TOKENS, WHOLE),
}
_NAMED = r"(?:\.[^.]+)?(?:\.weight)?$"  # the name of the adapter, which some files keep
_SEVERAL = "|".join((*HADA, *LOKR, IA3, MAGNITUDE))
_PEFT = re.compile(
    rf"\.(?P<bias>lora_B)(?:\.[^.]+)?\.bias$"
    rf"|\.(?P<factor>{A}|{B}|{EMBEDDING_A}|{EMBEDDING_B})(?!(?:\.[^.]+)?\.bias$){_NAMED}"
    rf"|\.(?P<part>{_SEVERAL})(?!\.bias$){_NAMED}"
    rf"|\.token_adapter\.(?P<tokens>{TOKENS}){_NAMED}"
)
_OTHER = re.compile(
    r"(?:\.lora_(?P<kohya>down|up)|(?:[._]lora|\.lora_linear_layer)\.(?P<processor>down|up))\.weight$"
)
_FOREIGN = re.compile(  # parts of adapters that are known and not computed
    r"[._](?:lora_|hada_|lokr_|oft_|boft_|vera_|ia3_|dora_scale|lora[0-9]?\.(?:down|up)|fourierft_"
    r"|randlora_|vblora_|hra_|bone_|miss_|shira_|waveft_|gralora_|prompt_embeddings)"
    r"|^prompt_embeddings$|\.(?:adaption_prompt|adaption_gate|lora_mid)"
)
_KOHYA = re.compile(r"(lora_(?:unet|te[0-9]?|transformer|prior|llm)|lycoris)_")
_GROUP = re.compile(
    r"(unet|text_encoder(?:_[0-9])?|transformer(?:_[0-9])?|diffusion_model|prior)\."
)


@dataclass(frozen=True, slots=True)
class Part:
    """One tensor of an adapter: the module it changes, and what it is to it."""

    module: str  # of a whole tensor, its name
    part: str
    group: str = ""  # the model of a pipeline that the module is said to be in
    has_dots: bool = True  # False where all dots of the module became underscores


def is_adapter(names: Mapping[str, TensorInfo]) -> bool:
    """Whether tensors are those of an adapter: factors under the names that trainers give them.

    A whole model that was stored inside of PEFT's wrapper has matrices in its blocks and no factor.
    """
    if any(_PEFT.search(x) or _OTHER.search(x) or _FOREIGN.search(x) for x in names):
        return True
    if any(map(_KOHYA.match, names)):
        return True
    wrapped = [name for name in names if name.startswith(WRAPPED[0])]
    is_whole = any(_is_in_block(name) and len(names[name].shape) > 1 for name in wrapped)
    return bool(wrapped) and not is_whole


def _is_in_block(name: str) -> bool:
    *inside, last = name.split(".")
    return last == "weight" and any(part.isdecimal() for part in inside[1:-1])


def needs_config(names: Iterable[str]) -> bool:
    """Whether the scale of an adapter stands in a config beside it, as PEFT does it.

    All others write their scale into the file, or have none.
    """
    held = list(names)
    if any(_OTHER.search(x) or _KOHYA.match(x) for x in held):
        return False
    return not all(map(_GROUP.match, held))


def peft_part(name: str) -> Part:
    """What a tensor is under the names that PEFT writes."""
    plain = _unwrapped(name)
    if found := _PEFT.search(plain):
        part = BIAS if found["bias"] else found["factor"] or found["part"] or found["tokens"]
        return Part(plain[: found.start()], part)
    return Part(plain, UNKNOWN if _FOREIGN.search(plain) else WHOLE)


def other_part(name: str) -> Part:
    """What a tensor is under the names of kohya, LyCORIS, diffusers and ComfyUI."""
    if found := _KOHYA.match(name):
        return _split(name[found.end() :], found[1], has_dots=False)
    found = _GROUP.match(name)
    return _split(name[found.end() :], found[1]) if found else _split(_unwrapped(name), "")


def _split(name: str, group: str, *, has_dots: bool = True) -> Part:
    if found := _OTHER.search(name):
        is_down = "down" in (found["kohya"], found["processor"])
        module = name[: found.start()].replace(".processor.", ".")
        return Part(module, A if is_down else B, group, has_dots)
    if name.endswith(f".{ALPHA}"):
        return Part(name.removesuffix(f".{ALPHA}"), ALPHA, group, has_dots)
    inner = peft_part(name)
    part = inner.part if inner.part in (A, B, BIAS, *HADA, *LOKR) else UNKNOWN
    return Part(inner.module, part, group, has_dots)


def _unwrapped(name: str) -> str:
    for prefix in WRAPPED:
        name = name.removeprefix(prefix)
    return name
