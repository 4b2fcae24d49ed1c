"""Claim: hidden relatives are found, but for the misses listed here. In full: `make results`.

Every miss is a strict expected failure: a method that reaches one has to take it off the list.
"""

from __future__ import annotations

from collections import Counter

import pytest
from benchmarks.lib import claim, tuning

from weightkin.evidence.controls import load_controls

TUNED = claim("hiding").TUNED
hide_and_compare = claim("hiding").hide_and_compare

pytestmark = pytest.mark.claim
ENOUGH = 19  # controls of a class that calibrated evidence needs
CLASSES = {
    "llama-a": "gated language",
    "gpt-a": "plain language",
    "vit-a": "plain vision",
    "moe-a": "gated experts language",
}
NO_EXACT = "signs, labels and basis changed at once: no exact test is left"
FEW_COINS = "plain MLPs have no coins, and the V/O dimensions left are under the effect cut"
FEW_ROWS = "22 rows of patches and positions are too few for the effect cut through tokens"

# base, child, rewrite, why; missed unless the class of the base has controls
MISSES = [
    *(
        (base, child, "all together", NO_EXACT)
        for base, children in {
            "llama-a": ("llama-a", "llama-a-long", "llama-a-lora16", "llama-a-prune50"),
            "gpt-a": ("gpt-a", "gpt-a-long", "gpt-a-lora4", "gpt-a-prune50"),
            "vit-a": ("vit-a", "vit-a-long", "vit-a-lora4", "vit-a-prune50"),
            "moe-a": ("moe-a", "moe-a-ft1"),
        }.items()
        for child in children
    ),
    ("gpt-a", "gpt-a-long", "permute, rotate", FEW_COINS),
    ("gpt-a", "gpt-a-lora4", "permute, rotate", FEW_COINS),
    *(
        ("vit-a", child, rewrite, FEW_ROWS)
        for rewrite in ("permute residual stream", "rotate residual stream", "permute, rotate")
        for child in ("vit-a-long", "vit-a-lora4")
    ),
    ("vit-a", "vit-a", TUNED, NO_EXACT),
]
FOUND = [
    ("llama-a", "llama-a-long", "permute, rotate"),
    ("llama-a", "llama-a-lora16", "rescale units"),
    ("llama-a", "llama-a-prune50", "split units, shuffled"),
    ("gpt-a", "gpt-a-prune50", "permute, rotate"),
    ("gpt-a", "gpt-a-long", "duplicate units, shuffled"),
    ("vit-a", "vit-a-prune50", "permute, rotate"),
    ("vit-a", "vit-a-long", "change value basis"),
    ("moe-a", "moe-a-ft1", "permute experts"),
    ("moe-a", "moe-a-ft1", "permute, rotate"),
    ("llama-a", "llama-a-long", "turn planes"),
    ("llama-a", "llama-a-long", "spread units, shuffled"),
    ("llama-a", "llama-a-long", "permute, rotate + block in the middle"),
    ("gpt-a", "gpt-a-long", "block in front"),
    ("gpt-a", "gpt-a-long", "cancel units, shuffled"),
    ("moe-a", "moe-a-ft1", "permute vocabulary"),
    ("moe-a", "moe-a-ft1", "unused rows made large"),
    ("vit-a", "vit-a-long", "block in the middle"),
]
STRANGERS = [
    ("llama-a", "llama-distilled", "all together"),
    ("gpt-a", "gpt-b", "permute, rotate"),
    ("vit-a", "vit-b", "all together"),
    ("moe-a", "moe-b", "permute experts"),
    ("llama-a", "llama-b", "block in front + unused rows made large"),
    ("gpt-a", "gpt-b", "permute, rotate + cancel units, shuffled"),
]


def _is_covered(base):
    return Counter(control.model_class for control in load_controls())[CLASSES[base]] >= ENOUGH


def _as_case(base, child, rewrite, why):
    marks = [
        pytest.mark.xfail(not _is_covered(base), strict=True, reason=f"{why}: docs/limits.md"),
        pytest.mark.skipif(rewrite == TUNED and not tuning.can_train(), reason=tuning.MISSING),
    ]
    return pytest.param(base, child, rewrite, marks=marks, id=f"{child}: {rewrite}")


@pytest.mark.claim
@pytest.mark.parametrize(("base", "child", "rewrite"), [_as_case(*miss) for miss in MISSES])
def test_relatives_that_no_exact_test_reaches(zoo, base, child, rewrite):
    hidden = hide_and_compare(base, child, True, rewrite)
    assert hidden.verdict == "dependent"
    assert hidden.basis == "calibrated"


@pytest.mark.parametrize(("base", "child", "rewrite"), FOUND)
def test_hidden_relatives_are_found_exactly(zoo, base, child, rewrite):
    hidden = hide_and_compare(base, child, True, rewrite)
    assert (hidden.verdict, hidden.basis) == ("dependent", "exact")


@pytest.mark.parametrize(("base", "stranger", "rewrite"), STRANGERS)
def test_rewritten_strangers_stay_strangers(zoo, base, stranger, rewrite):
    assert hide_and_compare(base, stranger, False, rewrite).verdict != "dependent"
