"""The rule of calibrated evidence: how far a statistic lies above controls known to be innocent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

N_CONTROLS = 19  # fewer can not reach p = 1/20
MIN_CONTROL_SPREAD = (
    0.001  # least distance between the largest control and the median that is believed
)


@dataclass(frozen=True, slots=True)
class Rank:
    """A statistic among its controls. ``margin`` is in units of largest control minus median."""

    pvalue: float
    margin: float
    largest: float
    median: float


def rank_among(statistic: float, controls: Sequence[float]) -> Rank:
    """Rank a statistic among controls: large means alike, and ties count against it.

    Null hypothesis: the statistic and those of the controls are exchangeable, that is, the pair in
    question is one more pair like the controls. Then P(p <= k/(n+1)) <= k/(n+1) for every k. That
    the pair is *like* the controls is an assumption, which is why the margin is asked for as well.

    Parameters
    ----------
    statistic : float
        Of the pair in question.
    controls : sequence of float
        Statistics of disjoint pairs documented as independent; at least one.

    Returns
    -------
    Rank
        ``pvalue`` is (1 + number of controls at least as large) / (n + 1).

    Examples
    --------
    >>> rank_among(0.5, [0.25] * 18 + [0.375]).pvalue
    0.05
    >>> rank_among(0.5, [0.25] * 18 + [0.375]).margin
    1.0
    """
    n_above = sum(control >= statistic for control in controls)
    largest, middle = max(controls), float(median(controls))
    return Rank(
        pvalue=(1 + n_above) / (len(controls) + 1),
        margin=(statistic - largest) / max(largest - middle, MIN_CONTROL_SPREAD),
        largest=largest,
        median=middle,
    )


def exceeds(rank: Rank, n_controls: int) -> bool:
    """Whether a rank allows `dependent`: above all of enough controls, by more than their spread.

    Examples
    --------
    >>> exceeds(rank_among(0.9, [0.25] * 18 + [0.375]), 19)
    True
    >>> exceeds(rank_among(0.5, [0.25] * 18 + [0.375]), 19)  # no further above than their spread
    False
    """
    return n_controls >= N_CONTROLS and rank.pvalue * (n_controls + 1) <= 1.5 and rank.margin > 1
