"""Calibrated evidence as it stands in the record: the statistic, its controls, what they allow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from weightkin.anatomy.side import Side
from weightkin.evidence.calibrated import CALIBRATED_SEED, Alike, agreement, bytes_of_views
from weightkin.evidence.controls import SIZE_FACTOR, Control, rank
from weightkin.evidence.signpairs import FRUGAL_BYTES, too_dear
from weightkin.records import Calibration, ModelRef, Skipped, Test, left_out
from weightkin.stats.calibrated import N_CONTROLS, exceeds

LEAST_SHARE = 0.1  # of the units: "universal" units of unrelated models are a few per cent
CALIBRATED_EVIDENCE = "calibrated evidence"


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What calibrated evidence adds to a record."""

    calibration: Calibration | None = None
    tests: tuple[Test, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    are_tokens_drawn: bool = False  # whether the statistic depends on which tokens were drawn

    @property
    def is_decisive(self) -> bool:
        """Whether it allows `dependent`."""
        return self.calibration is not None and self.calibration.is_above


def calibrate(
    a: Side,
    b: Side,
    refs: tuple[ModelRef, ModelRef],
    controls: Sequence[Control],
    *,
    seed: int = CALIBRATED_SEED,
    frugal: bool = False,
) -> Calibrated:
    """Rank a pair among controls of its class and size.

    The rule: above every one of at least 19 controls, further above the largest than that lies
    above their median, and at least a tenth of the units, that stand out on the view which no split
    of units changes (gates, or up in a plain MLP). Exact p-values are left alone.

    Null hypothesis: the pair is exchangeable with the controls, which are known to be independent.
    Cost: that of `agreement`.

    Parameters
    ----------
    a, b : Side
        The two models.
    refs : (ModelRef, ModelRef)
        Their digests: no control of these models counts.
    controls : sequence of Control
        Pairs of independent models.
    seed : int
        Seed of the choice of tokens, drawn after both models were fixed. Those of a control follow
        from a fixed one: nobody had a reason to fit two unrelated models to them.
    frugal : bool
        Leave it out where it takes more than 64 MiB.

    Returns
    -------
    Calibrated
        Rank, test and verdict of the rule, or why there are none.
    """
    if frugal and (n_bytes := bytes_of_views(a, b)) > FRUGAL_BYTES:
        return Calibrated(skipped=(too_dear(CALIBRATED_EVIDENCE, n_bytes, "calibrated"),))
    alike = agreement(a, b, frugal=frugal, seed=seed)
    if isinstance(alike, Skipped):
        return Calibrated(skipped=(replace(alike, what=CALIBRATED_EVIDENCE, test="calibrated"),))
    ranked = rank(alike, (refs[0].digest, refs[1].digest), controls)
    found = ranked.rank
    pvalue = found.pvalue if found else 1.0
    is_above = found is not None and exceeds(found, ranked.n_controls)
    calibration = Calibration(
        model_class=alike.model_class,
        statistic=round(alike.statistic, 6),
        wrong_depth=round(alike.wrong_depth, 6),
        n_controls=ranked.n_controls,
        calibrated_pvalue=pvalue,
        margin=round(found.margin, 4) if found else 0.0,
        largest_control=found.largest if found else 0.0,
        median_control=found.median if found else 0.0,
        controls=ranked.digest,
        is_above=is_above and min(alike.statistic, alike.clear) >= LEAST_SHARE,
    )
    skipped: tuple[Skipped, ...] = ()
    if is_above and alike.clear < LEAST_SHARE <= alike.statistic:
        skipped = (left_out(CALIBRATED_EVIDENCE, "split-units", "calibrated"),)
    if ranked.n_controls < N_CONTROLS:
        skipped = (_too_few(alike, ranked.n_controls),)
    return Calibrated(calibration, (_test(alike, pvalue),), skipped, alike.are_tokens_drawn)


def _too_few(alike: Alike, n_controls: int) -> Skipped:
    return left_out(
        CALIBRATED_EVIDENCE,
        "too-few-by-content" if alike.rows == "content" else "too-few-controls",
        "calibrated",
        n=n_controls,
        model_class=alike.model_class,
        n_rows=alike.n_rows,
        factor=SIZE_FACTOR,
        n_units=alike.n_units,
        width=alike.width,
        n_needed=N_CONTROLS,
    )


def _test(alike: Alike, pvalue: float) -> Test:
    return Test(
        name="agreement",
        axis="units",
        trusts="either",
        block_a="all",
        block_b="all",
        n_units=sum(m.n_units for m in alike.matches),
        statistic=round(alike.statistic, 6),
        log10_pvalue=math.log10(pvalue),
        null="calibrated",
        view="tokens",
    )
