"""Values that break readers: numbers at the edges of their types, texts that no file holds."""

from __future__ import annotations

import random
import re

INTEGERS = (
    *(-1, 0, 1, 2, 3, 127, 128, 255, 256, 4095, 65535, 65536, 10**6, 2**31 - 1, 2**31, 2**32 - 1),
    *(2**32, 2**40, 2**53 + 1, 2**60, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -(2**31), -(2**63)),
)
TEXTS = (
    *(
        "",
        ".",
        "..",
        "../outside/secret",
        "/dev/zero",
        "a\0b",
        "\x1b[31mred",
        "\u202egnp",
        "\ufeff",
    ),
    *("\n", "weight", "a0.qweight", "x" * 300, "x" * 70_000, "'", '"', "{", "[" * 200, "NaN", "-0"),
    *("model.layers.0.mlp.up_proj.weight", "model.layers.999999999.mlp.up_proj.weight"),
    *("9" * 5000, "1e400", "#1", "org/name", "hf://org/name", "F32", "I64", "F4", "U8", "BOOL"),
    *(
        "(a*)*b",
        "(x+)+$",
        ".*.*.*=",
        "\u0660",
        "true",
        "null",
        "=",
        "--json",
        "*",
        "(" * 50 + ")" * 50,
    ),
)
FLOATS = tuple(  # not a number, infinite, huge, tiny and equal ones, in two, four and eight bytes
    bytes.fromhex(x)
    for x in ("007e", "007c", "ff7b", "0100", "0000", "003c", "c07f", "807f", "0000c07f",
              "0000807f", "ffff7f7f", "01000000", "000000000000f87f", "ffffffffffffef7f")
)  # fmt: skip
SURROGATE = "\ud800x"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def integer(rng: random.Random, old: int) -> int:
    """Another whole number, near or far."""
    near = (old + 1, old - 1, 2 * old, -old, old ^ 1 << rng.randrange(64))
    return rng.choice(near) if rng.random() < 0.4 else rng.choice(INTEGERS)


def text(rng: random.Random, old: str) -> str:
    """Another text: one that is known to be hard, or the old one with a change."""
    way = rng.randrange(5)
    at = rng.randrange(len(old) + 1)
    if way == 0 or not old:
        return rng.choice(TEXTS)
    if way == 1:
        return old[:at] + rng.choice(TEXTS)[:300] + old[at:]
    if way == 2:
        return old[:at] + old[at + rng.randrange(1, 9) :]
    if way == 3:
        return (
            old[:at]
            + chr(rng.choice((rng.randrange(1, 0xD800), rng.randrange(32, 127))))
            + old[at:]
        )
    numbers = list(NUMBER.finditer(old))
    if not numbers:
        return old[:at] + old[at:] * 2
    found = rng.choice(numbers)
    return (
        old[: found.start()]
        + str(integer(rng, int(found[0].partition(".")[0].lower().partition("e")[0][:18])))
        + old[found.end() :]
    )
