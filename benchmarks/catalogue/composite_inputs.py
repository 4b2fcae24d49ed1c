"""Pictures and sounds for models of transformers, and the tokens in a text that stand for them.

A config names the token that stands for a part of a picture or sound; how many of them there are,
the model says itself when there are too few.
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch

BATCH, TEXT, BEFORE = 2, 12, 3  # texts, tokens of each, and those before a picture
GRID = (1, 4, 4)  # frames, rows and columns of patches of one picture
MAX_TOKENS = 1024
MAX_COUNTS = 6  # of placeholders, until the model is content

_KINDS = ("image", "audio")
_TOKEN = "{}_(token|patch)_?(id|index)"
_COUNTED = re.compile(r"(\w+) features and [\w ]+ do(?:es)? not match\D*(\d+)\D+(\d+)")
_GOT = re.compile(r"Got (?P<wanted>\d+) feature vectors for (?P<given>\d+)")
_SPECIAL = re.compile(r"(_token|_start|_end|_patch|_newline)_?(id|index)$|_token_ids$|_id$")
Inputs = dict[str, Any]


def tries(
    model: torch.nn.Module, names: Collection[str], sounds: Iterator[Inputs]
) -> Iterator[Inputs]:
    """Pictures and sounds of every kind that the arguments of a model have names for.

    Parameters
    ----------
    model : torch.nn.Module
        A model of transformers.
    names : collection of str
        Arguments of its forward pass.
    sounds : iterator of dict
        Sounds to try.

    Yields
    ------
    dict
        Arguments, with tokens in the text that stand for what is seen and heard.
    """
    facts = model.config.to_dict()  # type: ignore[operator, union-attr]
    pictures = [x for x in _pictures(facts, names) if x.keys() <= set(names)] or [{}]
    heard = [x for x in sounds if x.keys() <= set(names)] or [{}]
    if "input_ids" not in names:
        yield from (x for x in pictures if x)
        return
    basic = {"input_ids", "mm_token_type_ids", "qformer_input_ids"}
    if facts.get("is_encoder_decoder"):
        basic.add("decoder_input_ids")
    for picture, sound in itertools.product(pictures, heard):
        for text in (basic, {*basic, "attention_mask"}):
            if media := {**picture, **sound}:
                yield _with_text(model, facts, media, text & set(names))


def _with_text(
    model: torch.nn.Module, facts: Mapping[str, Any], media: Inputs, names: Collection[str]
) -> Inputs:
    """Pictures and sounds with a text that has as many placeholders as the model asks for."""
    present = [x for x in _KINDS if any(_is_about(name, x) for name in media)]
    counts = {kind: BATCH for kind in present if _placeholder(facts, kind) is not None}
    for _ in range(MAX_COUNTS):
        inputs = {**media, **_text(model, facts, counts, names)}
        said, given, wanted = _asked(model, inputs)
        kinds = [said] if said in counts else [x for x, n in counts.items() if n == given]
        if not kinds or given == wanted and not (wanted := _made(model, kinds[0], media)):
            break
        is_of_tokens = wanted < MAX_TOKENS  # some models count numbers, not tokens
        counts[kinds[0]] = wanted if is_of_tokens else wanted // _embedding(model, facts)[1]
    return inputs


@torch.no_grad()
def _asked(model: torch.nn.Module, inputs: Inputs) -> tuple[str, int, int]:
    """Of what a model misses placeholders, how many it has and wants; equal where it does not."""
    try:
        model(**inputs)
    except Exception as error:
        if found := _COUNTED.search(str(error)):
            return found[1].lower(), int(found[2]), int(found[3])
        if found := _GOT.search(str(error)):
            return "", int(found["given"]), int(found["wanted"])
    return "", 0, 0


@torch.no_grad()
def _made(model: torch.nn.Module, kind: str, media: Inputs) -> int:
    """How many tokens a model makes of a picture or sound; 0 where it does not say."""
    own = [getattr(x, f"get_{kind}_features", None) for x in (model, getattr(model, "model", None))]
    for function in filter(None, own):
        known = inspect.signature(function).parameters.keys() & media.keys()
        try:
            found = function(**{name: media[name] for name in known})
        except Exception:
            continue
        found = getattr(found, "pooler_output", found)
        parts = found if isinstance(found, list | tuple) else [found]
        return sum(x.shape[:-1].numel() for x in parts if isinstance(x, torch.Tensor))
    return 0


def _embedding(model: torch.nn.Module, facts: Mapping[str, Any]) -> tuple[int, int]:
    """Number of tokens and width of what ids are looked up in."""
    try:
        return tuple(model.get_input_embeddings().weight.shape)  # type: ignore[operator, return-value]
    except (NotImplementedError, AttributeError):
        return next((x for name, x in _numbers(facts) if name == "vocab_size"), 64), 1


def _is_about(name: str, kind: str) -> bool:
    own = ("pixel", "image") if kind == "image" else ("audio", "input_features", "input_values")
    return name.startswith(own)


def _placeholder(facts: Mapping[str, Any], kind: str) -> int | None:
    pattern = re.compile(_TOKEN.format(kind) + r"\Z")
    return next((x for name, x in _numbers(facts) if pattern.match(name)), None)


def _text(
    model: torch.nn.Module,
    facts: Mapping[str, Any],
    counts: Mapping[str, int],
    names: Collection[str],
) -> Inputs:
    """Token ids with runs of placeholders, shared out among the texts."""
    special = {x for name, x in _numbers(facts) if _SPECIAL.search(name)}
    n = _embedding(model, facts)[0]
    plain = [x for x in range(n // 2, n) if x not in special] or [n - 1]
    generator = torch.Generator().manual_seed(7)
    words = torch.randint(len(plain), (BATCH, TEXT), generator=generator)
    rows, kinds = [], []
    for i in range(BATCH):
        row, kind = [plain[x] for x in words[i, :BEFORE]], [0] * BEFORE
        for number, (own, count) in enumerate(counts.items(), 1):
            share = count // BATCH + (i < count % BATCH)
            starts = [x for name, x in _numbers(facts) if re.match(_start(own), name)]
            start = [x for x in starts if x < n][:1]
            token = _placeholder(facts, own)
            row += [*start, *[token] * share]  # type: ignore[list-item]
            kind += [*[0] * len(start), *[number] * share]
        rows.append(row + [plain[x] for x in words[i, BEFORE:]])
        kinds.append(kind + [0] * (TEXT - BEFORE))
    length = max(map(len, rows))
    found = {
        "attention_mask": torch.ones(BATCH, length, dtype=torch.long),
        "input_ids": torch.tensor([row + [plain[0]] * (length - len(row)) for row in rows]),
        "mm_token_type_ids": torch.tensor([x + [0] * (length - len(x)) for x in kinds]),
    }
    found["qformer_input_ids"] = torch.arange(BEFORE).expand(BATCH, -1)
    found["decoder_input_ids"] = found["input_ids"][:, -BEFORE:]
    return {name: x for name, x in found.items() if name in names}


def _start(kind: str) -> str:
    return r"(vision|image)_start_token_id\Z" if kind == "image" else r"audio_start_token_id\Z"


def _numbers(facts: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Fields that hold a number, those of nested configs last."""
    todo = [facts]
    while todo:
        own = todo.pop(0)
        for name, x in own.items():
            if isinstance(name, str) and isinstance(x, int) and not isinstance(x, bool):
                yield name, x
        todo += [x for x in own.values() if isinstance(x, Mapping)]


def _pictures(facts: Mapping[str, Any], names: Collection[str]) -> Iterator[Inputs]:
    """Pictures as models take them: as rows of patches, or whole."""
    seen = facts.get("vision_config") or facts.get("vlm_config", {}).get("vision_config") or facts
    own = dict(_numbers(facts)) | dict(_numbers(seen))
    channels = own.get("num_channels") or own.get("in_channels") or own.get("in_chans") or 3
    patch = _first(seen.get("patch_size")) or 16
    area = patch * patch * channels
    frames = own.get("temporal_patch_size") or own.get("patch_temporal") or 1
    given = "hidden_states" if "hidden_states" in names else "pixel_values"
    n = BATCH * GRID[1] * GRID[2]
    grid = torch.tensor([GRID] * BATCH)
    for name in {"image_grid_thw", "grid_thw"} & set(names):
        rows = (n, area * frames), (n, area), (n, channels, patch, patch)
        tall = (1, n, channels, patch, patch)
        for shape in (*rows, (BATCH, n // BATCH, area * frames), (n * patch**2, channels), tall):
            more = {"merge_sizes": grid[:, 0] * 2, "image_merge_sizes": grid[:, 0] * 2}
            more = {key: x for key, x in more.items() if key in names}
            yield {given: _normal(*shape), name: grid, **more}
    if "spatial_shapes" in names:
        rows = _normal(BATCH, GRID[1] * GRID[2], area)
        mask = torch.ones(rows.shape[:2], dtype=torch.long)
        yield {given: rows, "spatial_shapes": grid[:, 1:], "pixel_attention_mask": mask}
    if "pixel_position_ids" in names:
        places = torch.cartesian_prod(torch.arange(GRID[1]), torch.arange(GRID[2]))
        rows = _normal(BATCH, len(places), area)
        yield {given: rows, "pixel_position_ids": places.expand(BATCH, -1, -1)}
    if "target_sizes" in names:
        yield {given: _normal(1, channels, patch, n * patch), "target_sizes": grid[:, 1:]}
    if "image_grid_hw" in names:
        yield {given: _normal(n, area), "image_grid_hw": grid[:, 1:]}
    size = _pair(seen.get("image_size") or facts.get("image_size") or 64)
    if "high_res_pixel_values" in names:
        high = _pair(facts["high_res_vision_config"]["image_size"])
        pair = {"high_res_pixel_values": _normal(BATCH, channels, *high)}
        yield {"pixel_values": _normal(BATCH, channels, *size), **pair}
    if places := facts.get("image_grid_pinpoints"):  # a whole picture and its tiles
        n = 1 + places[0][0] * places[0][1] // (size[0] * size[1])
        whole = _normal(BATCH, n, channels, *size)
        yield {"pixel_values": whole, "image_sizes": torch.tensor([places[0]] * BATCH)}
    if "aspect_ratio_ids" in names:  # every picture in as many tiles
        n = int(own.get("max_num_tiles", 1))
        ones = torch.ones(BATCH, 1, n, dtype=torch.long)
        tiles = {"aspect_ratio_ids": ones[..., 0], "aspect_ratio_mask": ones}
        yield {"pixel_values": _normal(BATCH, 1, n, channels, *size), **tiles}
    for shape in ((BATCH, channels), (BATCH, 1, channels)):
        whole = {"pixel_values": _normal(*shape, *size)}
        yield whole
        if "pixel_attention_mask" in names:
            seen = torch.ones(*shape[:-1], *size, dtype=torch.long)
            for mask in (seen, seen[..., 0, 0].bool()):  # of pixels, of tiles
                yield {**whole, "pixel_attention_mask": mask}
        if "image_sizes" in names:
            yield {**whole, "image_sizes": torch.tensor([size] * BATCH)}


def _pair(size: Any) -> tuple[int, int]:
    if isinstance(size, Mapping):
        return int(size["height"]), int(size["width"])
    return (int(size), int(size)) if isinstance(size, int) else (int(size[0]), int(size[-1]))


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, list | tuple) else value or 0)


def _normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))
