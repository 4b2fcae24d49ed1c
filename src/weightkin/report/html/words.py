"""What verdicts, nulls and limits mean, for readers who are no statisticians."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from weightkin.records import Comparison, Effect
from weightkin.records.form import pvalue_words
from weightkin.records.kinds import equal_kinds
from weightkin.report.derived import identical_words

NULLS = {
    "exact": "the law of the statistic is known",
    "bound": "a proven upper bound of the p-value",
    "monte-carlo": "random relabellings",
    "asymptotic": "an approximation for many units; drives no verdict",
    "calibrated": "ranked among pairs known to be independent",
}
NULL_WORDS = (
    "The units of a layer carry arbitrary numbers: swap two of them in every matrix they touch, "
    "and the network computes the same. So when two models start from independent random values, "
    "the numbering of one says nothing about the numbering of the other, whatever they are trained "
    "on.",
    "That is the null hypothesis: independent random initialisations. Equal architecture, data, "
    "order of the data and recipe belong to it, and so does training on the other model's outputs. "
    "Only one of the two numberings has to be free; nothing is assumed about what weights look "
    "like.",
    "Each test matches every unit of one model to the most similar unit of the other without "
    "looking at numbers, and then counts how many fell on their own number. The p-value bounds how "
    "often independent models would reach that count. All tests are paid for out of one budget "
    "that was fixed before looking.",
)
NOT_SHOWN = (
    "Who copied whom, or which model came first: where a direction is given, it has a probability "
    "and evidence of its own.",
    "That anything was improper. Licences permit most ways of making one model from another.",
    "That nobody lined the units up afterwards. Whoever holds both models can reorder one to match "
    "the other, and weights cannot exclude that this was done after a model was registered or "
    "published. Digests with a date can.",
    "How much of a model was shared in any legal sense. A p-value is no share and no similarity.",
)
NO_EVIDENCE = (
    "“No evidence” is not “independent”. Models may be related in ways that leave nothing to find: "
    "by training long enough, or by a rewrite that hides every numbering."
)
BASES = (
    "Exact and calibrated verdicts are not of one strength. An exact one rests on tests whose "
    "error is known or bounded; a calibrated one on a rank among pairs known to be independent."
)
CALIBRATED_WORDS = (
    "The calibrated statistic is the share of units on which two views of the same weights agree "
    "that they belong together. No relabelling, rotation or change of signs moves it, and so no "
    "such symmetry gives it a p-value: it is held against the same share of pairs of one class and "
    "size that are known to be independent."
)
PROBABILITIES = (
    "The probability of a direction rests on weights of evidence that were set by hand. It tells "
    "the surer from the less sure; above 0.99 nothing is told apart."
)
SAMPLED = (
    "A digest that begins with wk1 covers names, types, shapes and a fixed sample of rows; a full "
    "digest covers every byte."
)


def names(record: Any) -> tuple[str, str]:
    """Short names of the two models of a record; their sources where those are equal."""
    a, b = (source_name(ref.source) for ref in (record.a, record.b))
    return (a, b) if a != b else (record.a.source, record.b.source)


def verdict_words(record: Comparison) -> Sequence[str]:
    """The verdict in two or three sentences."""
    p = pvalue_words(record.log10_pvalue)
    level = f"at the level of {record.alpha:g} that was asked for"
    if record.verdict == "not-testable":
        return (
            "Nothing could be tested, so nothing was found and nothing excluded. What stood in the "
            "way is listed below.",
            *_equal_words(record),
        )
    if record.verdict == "no-evidence":
        return (
            f"The tests found nothing that independent models would not show ({p}).",
            NO_EVIDENCE,
        )
    if record.verdict == "aligned-only":
        return (
            f"Units of the two models line up far better than by chance ({p}), but matched units "
            "are too weakly alike to say that weights were shared.",
            "One model may have been arranged so as to match the other.",
        )
    if record.basis == "equal" or equal_kinds(record.kind):
        said = identical_words(record.kind_details)
        return (f"The two hold the same weights: {said}.", *_equal_words(record))
    if record.basis == "calibrated" and record.calibration is not None:
        x = record.calibration
        return (
            f"No exact test reaches this pair. One statistic that no rewrite of the tested sorts "
            f"moves lies above all {x.n_controls} pairs of this class known to be independent, by "
            f"{x.margin:.1f} times the spread of the upper half of those pairs.",
            "This is weaker than an exact verdict: it is as good as the pairs it is ranked among.",
        )
    return (
        f"Independent initialisations are rejected {level}: they would give this much agreement "
        f"with a probability of at most {_power(record.log10_pvalue)}.",
        "Weights or a random start were shared at some point: by copying, fine-tuning, pruning, "
        "merging, a common ancestor or the same seed.",
    )


def _equal_words(record: Comparison) -> tuple[str, ...]:
    """How much is equal, and what was looked at."""
    if record.equal is None:
        return ()
    looked = {"digest": "digests of everything", "all": "all values", "sample": "a sample"}
    n, share = record.equal.n_parameters, int(100 * record.equal.share)
    said = f"{share} % of the {n:,} parameters of the smaller model are equal in the other one"
    return (f"{said}, under the same or another name ({looked[record.equal.basis]}).",)


def limit_words(record: Comparison) -> tuple[str, ...]:
    """What a verdict does not show."""
    if record.verdict in ("no-evidence", "not-testable"):
        elsewhere = "That nothing is shared in what was not tested; the reasons are listed below."
        return (NO_EVIDENCE, elsewhere, *NOT_SHOWN[1:2], BASES)
    return (*NOT_SHOWN, BASES)


def basis_words(record: Comparison) -> str:
    """What the verdict rests on."""
    return {
        "exact": "exact: tests whose error is known or bounded, without a fitted threshold",
        "exact-unconfirmed": "exact, on a sample that nobody drew after the models were fixed",
        "calibrated": "calibrated: one statistic ranked among pairs known to be independent",
        "equal": "equal: the values themselves are the same, whatever a test can show",
        "none": "none: no test was run",
    }[record.basis]


def effect_words(effect: Effect | None) -> str:
    """Median cosine of matched units, and the level expected by chance."""
    if effect is None or effect.ratio == 0.0:
        return "–"
    return f"{effect.observed:.2f} ({max(effect.chance, 0.0):.2f})"


def log10_words(log10_p: float) -> str:
    """A log10 p-value with a real minus sign."""
    return "0" if log10_p > -0.05 else f"{log10_p:.1f}".replace("-", "−")


def source_name(source: str) -> str:
    """Name of the folder or file, which is short."""
    return PurePath(source.rstrip("/")).name or source


def _power(log10_p: float) -> str:
    if log10_p > -4:
        return f"{10**log10_p:.2g}"
    return f"1 in 10 to the power of {int(-log10_p):,}"
