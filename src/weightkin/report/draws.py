"""Words for who drew the sample of a comparison, and for a second look with fresh bytes."""

from __future__ import annotations

from weightkin.records import Comparison
from weightkin.records.accounting import Challenge, Extent
from weightkin.records.form import pvalue_words
from weightkin.text import percent

DRAWS = 40  # binary logarithm of the tries of which somebody may show the best
BY = {
    "seed": "a seed, which anybody may know: rerun without --seed before this is shown to others",
    "own": "fresh bytes of whoever ran this; others cannot know how often that was tried:"
    f" allowing for 2^{DRAWS} tries, p is {2.0**DRAWS:.1e} times as large for them",
    "joint": "bytes of both parties",
    "beacon": "bytes of a public source of randomness",
}


def challenge_lines(challenge: Challenge | None) -> list[str]:
    """Who drew the sample; nothing where no sample was drawn, since all units were read."""
    return [] if challenge is None else [f"  sample drawn by {drawn_by(challenge)}"]


def drawn_by(challenge: Challenge | str) -> str:
    """Who drew the sample, and by which bytes; of a check these are all that is kept."""
    if isinstance(challenge, str):
        return f"{BY['own']} ({challenge})"
    bound = "" if challenge.binding == "full" else ", bound to the sample digests"
    return f"{BY[challenge.drawn]} ({challenge.hex}{bound})"


def extent_lines(extent: Extent | None) -> list[str]:
    """How many of all drawn units match, as far as that is known."""
    return [] if extent is None else [f"  extent: {extent_words(extent)}"]


def extent_words(extent: Extent) -> str:
    """The share of all drawn units that match, with its interval."""
    share, low, high = (percent(x) for x in (extent.share, extent.low, extent.high))
    return (
        f"{share} of all drawn hidden units match their own index"
        f" ({low} to {high} at 95 %, by {extent.n_runs} groups of units)"
    )


def refreshed_lines(old: Comparison, new: Comparison, log10_pvalue: float) -> list[str]:
    """Both looks side by side, and what they are worth together."""
    words = [(_verdict(x), pvalue_words(x.log10_pvalue)) for x in (old, new)]
    if new.challenge is None:
        return [f"{words[1][0]}, {words[1][1]}: the sample is all there is, nothing is drawn"]
    names = "record", "fresh"
    lines = [f"  {name:<8} {x[0]}, {x[1]}" for name, x in zip(names, words, strict=True)]
    outcome = "same verdict" if old.verdict == new.verdict else "another verdict"
    together = pvalue_words(log10_pvalue)
    return [*lines, f"{outcome} on a fresh sample; both together {together} (mean of e-values)"]


def _verdict(x: Comparison) -> str:
    """The verdict, and that it is unconfirmed where it is."""
    return f"{x.verdict}, unconfirmed" if x.basis == "exact-unconfirmed" else x.verdict
