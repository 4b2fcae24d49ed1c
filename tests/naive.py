"""Slow twins, written like the definitions: what the fast routines must agree with."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np


def cosine(x, y):
    return float(np.dot(x, y) / math.sqrt(np.dot(x, x)) / math.sqrt(np.dot(y, y)))


def nearest(x, y):
    """For each row of x the index of the row of y with the largest cosine."""
    return [max(range(len(y)), key=lambda j: cosine(row, y[j])) for row in x]


def coincidences(x, y):
    return sum(1 for i, j in enumerate(nearest(x, y)) if i == j)


def longest_increasing(values):
    """Length of the longest increasing subsequence, by trying every subsequence."""
    for length in range(len(values), 0, -1):
        for chosen in combinations(values, length):
            if all(p < q for p, q in zip(chosen, chosen[1:], strict=False)):
                return length
    return 0


def tail_over_labels(statistic, n):
    """Exact law of a statistic of a uniform relabelling: value to P(T >= value), by enumeration."""
    values = [statistic(p) for p in permutations(range(n))]
    return {v: sum(w >= v for w in values) / len(values) for v in sorted(set(values))}


def monotone_maps(n_a, n_b):
    """All strictly increasing partial maps from n_a to n_b blocks, as lists of pairs."""
    maps = []
    for size in range(min(n_a, n_b) + 1):
        for rows in combinations(range(n_a), size):
            for columns in combinations(range(n_b), size):
                maps.append(list(zip(rows, columns, strict=True)))
    return maps


def trace_moments(similarity):
    """Mean and variance of the trace over all relabellings, by enumeration."""
    n = len(similarity)
    traces = [sum(similarity[i, p[i]] for i in range(n)) for p in permutations(range(n))]
    return float(np.mean(traces)), float(np.var(traces))
