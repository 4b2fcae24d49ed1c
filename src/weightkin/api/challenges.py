"""Who draws the sample of a comparison: the argument `challenge`."""

from __future__ import annotations

from weightkin.errors import UsageError
from weightkin.evidence.draws import N_BYTES, beacon, fresh, joint, pinned
from weightkin.records.accounting import Challenge

FORMS = "own, joint:HEX:HEX or beacon:HEX"
LEAST_BYTES = 16  # of what a party or a beacon gives


def challenge_of(said: str | Challenge, seed: int | None = None) -> Challenge:
    """The bytes that draw a sample.

    Parameters
    ----------
    said : str or Challenge
        ``own``, ``joint:HEX:HEX``, ``beacon:HEX``, or that of a record (``own:HEX`` as a text).
    seed : int, optional
        Bytes that follow from it, where nothing else is said.

    Returns
    -------
    Challenge

    Raises
    ------
    UsageError
        It is none of these.
    """
    if isinstance(said, Challenge):
        if len(_bytes(said.hex)) != N_BYTES:
            raise UsageError(f"challenge: {said.hex[:80]!r} is not {N_BYTES} bytes")
        return said
    if not isinstance(said, str):
        raise UsageError(f"challenge must be {FORMS}, not {type(said).__name__}")
    if said == "own":
        return fresh() if seed is None else pinned(seed)
    kind, *texts = said.split(":")
    given = [_bytes(text) for text in texts]
    if kind == "own" and [len(x) for x in given] == [N_BYTES]:
        return Challenge(drawn="own", hex=given[0].hex(), binding="partial")
    if kind == "joint" and len(given) == 2:
        return joint(*given)
    if kind == "beacon" and len(given) == 1:
        return beacon(given[0])
    raise UsageError(f"challenge must be {FORMS}, not {said[:80]!r}")


def _bytes(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        raise UsageError(f"challenge: {text[:80]!r} is not hexadecimal") from None
    if len(found) < LEAST_BYTES:
        raise UsageError(f"challenge: {text[:80]!r} has less than {LEAST_BYTES} bytes")
    return found
