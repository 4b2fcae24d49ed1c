"""Slow twins, written like the definitions: what the fast routines must agree with."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations, permutations, product

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import binom, norm


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


def mapped_evalue(evalues, pair=0.9, skip=0.05):
    """Weighted sum over all orders in which to pair or skip blocks, each path of steps by itself.

    ``evalues`` is (n_a, n_b); a step pairs the next two blocks or skips one, and where one model is
    used up, the rest of the other is skipped for free.
    """
    n_a, n_b = len(evalues), len(evalues[0])

    def rest(i, j):
        if i == n_a or j == n_b:
            return 1.0
        paired = pair * evalues[i][j] * rest(i + 1, j + 1)
        return paired + skip * rest(i + 1, j) + skip * rest(i, j + 1)

    return rest(0, 0)


def trace_moments(similarity):
    """Mean and variance of the trace over all relabellings, by enumeration."""
    n = len(similarity)
    traces = [sum(similarity[i, p[i]] for i in range(n)) for p in permutations(range(n))]
    return float(np.mean(traces)), float(np.var(traces))


def copied_runs(runs, level=1e-3):
    """Number of the first copy of each run: every pair by its relabellings, then the closure."""
    n = len(runs)
    cut = norm.isf(level / (n * (n - 1)))
    number = list(range(n))
    for i, j in combinations(range(n), 2):
        table = np.array([[cosine(p, q) for q in runs[j]] for p in runs[i]])
        if _stands_out(table, cut) or _stands_out(np.abs(table), cut):
            number = [number[i] if x == number[j] else x for x in number]
    return tuple(number)


def _stands_out(table, cut):
    """Whether the trace is so many standard deviations above its mean over relabellings."""
    n = len(table)
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    spread = sum((table[i, j] - rows[i] - columns[j] + table.mean()) ** 2
                 for i in range(n) for j in range(n)) / (n - 1)  # fmt: skip
    return np.trace(table) - n * table.mean() >= cut * math.sqrt(spread)


def multiplied_once(grids, groups):
    """E-values of runs of labels: averaged inside each set of copies, multiplied over sets."""
    total = 1.0
    for group in set(groups):
        members = [g for g, own in zip(grids, groups, strict=True) if own == group]
        total *= sum(members) / len(members)
    return total


# Flawed recipes: what one would write first, each walking into one trap of the methods.


def similarity(x, y):
    return (x / np.linalg.norm(x, axis=1)[:, None]) @ (y / np.linalg.norm(y, axis=1)[:, None]).T


def fixed(partner):
    return int((partner == np.arange(len(partner))).sum())


def factorial_log10(k):
    return -math.lgamma(k + 1) / math.log(10)


def unguarded_log10(x, y):
    """1/K! without a look at what the order of the units carries."""
    return factorial_log10(fixed(similarity(x, y).argmax(axis=1)))


def assigned_log10(x, y):
    """1/K! of an assignment whose ties the solver breaks by index."""
    return factorial_log10(fixed(linear_sum_assignment(-similarity(x, y))[1]))


def closed_form_log10(counts):
    """Tail of a sum of independent counts; z is chosen after the counts are seen."""
    total, n = sum(counts), len(counts)
    return 0.0 if total <= n else (total - n - total * math.log(total / n)) / math.log(10)


def multiplied_log10(pairs):
    """Blocks multiplied as if no two of them shared labels."""
    return closed_form_log10([fixed(similarity(x, y).argmax(axis=1)) for x, y in pairs])


def nested_log10(x, y, sizes):
    """Ever larger samples of one block, multiplied."""
    return multiplied_log10([(x[:n], y[:n]) for n in sizes])


def restarted_log10(counts):
    """The closed form computed anew after every block, the best one kept."""
    total, n = np.cumsum(counts), np.arange(1, len(counts) + 1)
    is_more = total > n
    total, n = total[is_more], n[is_more]
    return float((total - n - total * np.log(total / n)).min(initial=0.0)) / math.log(10)


def escalated_log10(log10_pvalues):
    """Stop at the first stage that convinces, corrected for the stages tried so far."""
    return min(p + math.log10(tried) for tried, p in enumerate(log10_pvalues, start=1))


def banded_log10(x, y, reach=3):
    """Order of partners that were looked for near the diagonal."""
    n, cosine = len(x), similarity(x, y)
    band = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) > reach
    partner = list(dict.fromkeys(np.where(band, -np.inf, cosine).argmax(axis=1).tolist()))
    best = []
    for i, v in enumerate(partner):
        best.append(1 + max((best[j] for j in range(i) if partner[j] < v), default=0))
    m, length = len(partner), max(best)
    bound = math.lgamma(m + 1) - 2 * math.lgamma(length + 1) - math.lgamma(m - length + 1)
    return min(0.0, bound / math.log(10))


def coins_log10(signs):
    """Binomial tail of signs taken for fair coins."""
    return float(binom.logsf(int((signs > 0).sum()) - 1, len(signs), 0.5)) / math.log(10)


def mutual(score):
    forward, backward = score.argmax(axis=1), score.argmax(axis=0)
    rows = np.flatnonzero(backward[forward] == np.arange(len(score)))
    return rows, forward[rows]


def trusting_coins_log10(gate_a, coin_a, gate_b, coin_b):
    """Signs of whatever is called up."""
    coin = similarity(coin_a, coin_b)
    return coins_log10(coin[mutual(similarity(gate_a, gate_b) + np.abs(coin))])


def signed_match_log10(x, y):
    """Signs of units that were matched by their signed cosine."""
    cosine = similarity(x, y)
    return coins_log10(cosine[mutual(cosine)])


def coins_by_column_log10(v_a, o_a, v_b, o_b, repeat):
    """One coin for each O column; o: (V dimensions * repeat, width), columns of one V row apart."""
    rows, columns = mutual(np.abs(similarity(v_a, v_b)))
    n_a, n_b = len(v_a), len(v_b)
    coins = [similarity(o_a[r * n_a :][:n_a], o_b[r * n_b :][:n_b])[rows, columns]
             for r in range(repeat)]  # fmt: skip
    return coins_log10(np.concatenate(coins))


def chosen_tokens_log10(embed_a, embed_b, n_tokens):
    """Residual dimensions on the tokens whose embeddings look most alike."""
    tokens = np.argsort(-(embed_a * embed_b).sum(axis=1))[:n_tokens]
    return unguarded_log10(embed_a[tokens].T, embed_b[tokens].T)


def procrustes_log10(x, y):
    """Residual streams aligned on the very rows that are then scored."""
    left, _, right = np.linalg.svd(x.T @ y)
    return unguarded_log10(x @ (left @ right), y)


def cheapest_forest(costs, prices):
    """Smallest total cost of giving every node a parent or making it a root, by trying all ways."""
    n = len(costs)
    best = math.inf
    for parents in product(range(-1, n), repeat=n):
        if all(reaches_root(parents, x) for x in range(n)):
            total = sum(prices[x] if p < 0 else costs[p][x] for x, p in enumerate(parents))
            best = min(best, total)
    return best


def fewest_roots(costs):
    """Fewest roots over all forests, and the smallest total cost with so many."""
    n = len(costs)
    best = (n, 0.0)
    for parents in product(range(-1, n), repeat=n):
        total = sum(costs[p][x] for x, p in enumerate(parents) if p >= 0)
        if total < math.inf and all(reaches_root(parents, x) for x in range(n)):
            best = min(best, (parents.count(-1), total))
    return best


def reaches_root(parents, node):
    for _ in parents:
        node = parents[node]
        if node < 0:
            return True
    return False


def hits_of_rules(reading, m):
    """Hits of every offset of every stride, of every step of every lag: look by look, unit by unit.

    ``reading`` is one list a run, None where a unit has none. Counts by look, and their rates.
    """
    from weightkin.stats.formulas import LAGS, STRIDES

    counts, rates = [], []
    size = len(reading[0])
    for stride in STRIDES:
        at = enumerate(v for run in reading for v in run)
        counts.append(Counter((v - stride * i) % m for i, v in at if v is not None))
        places = len({(stride * i) % m for i in range(m)})
        own = [Counter(v for v in run if v is not None) for run in reading]
        rates.append(sum(min(max(c.values(), default=0), math.ceil(size / places)) for c in own))
    most = 4 * math.ceil(size / m)
    kept = [[v if v is not None and run.count(v) <= most else None for v in run] for run in reading]
    for lag in LAGS:
        pairs = [(x, y) for run in kept for x, y in zip(run, run[lag:], strict=False)]
        counts.append(Counter((y - x) % m for x, y in pairs if x is not None and y is not None))
        largest = [
            max(Counter(v for v in run if v is not None).values(), default=0) for run in kept
        ]
        rates.append(sum(largest) if lag < size else 0)
    return counts, rates


def turns_log10(k, n):
    """Tail of the number of hits among n planes, each turned by any of four quarters."""
    ways = sum(math.comb(n, i) * 3 ** (n - i) for i in range(k, n + 1))
    return math.log10(ways / 4**n)


def plane_products(a, b, size):
    """Mean product of keys and queries for every pair of heads: pairs of heads to (planes,).

    Each model is (queries, keys); two queries read a key head, in any order.
    """
    half = size // 2

    def planes(x, head):
        rows = x[head * size : (head + 1) * size]
        z = [
            [complex(u, v) for u, v in zip(rows[j], rows[j + half], strict=True)]
            for j in range(half)
        ]
        return np.array([np.array(p) / math.sqrt(sum(abs(v) ** 2 for v in p)) for p in z])

    def product(x, i, y, j):
        return (planes(x, i).conj() * planes(y, j)).sum(axis=1)

    found = {}
    for i in range(len(a[1]) // size):
        for j in range(len(b[1]) // size):
            orders = [
                [product(a[0], 2 * i + r, b[0], 2 * j + (r + swap) % 2) for r in (0, 1)]
                for swap in (0, 1)
            ]
            queries = max(orders, key=lambda order: sum(np.abs(z).sum() for z in order))
            found[i, j] = (product(a[1], i, b[1], j) + sum(queries)) / 3
    return found


def rotary_scores(q, k, size, distance):
    """Scores of all query heads against their key head, ``distance`` tokens apart: x' Q' R K y."""
    half = size // 2
    angles = distance / 10.0 ** np.arange(half)
    turn = np.zeros((size, size))
    for j, angle in enumerate(angles):
        c, s = math.cos(angle), math.sin(angle)
        turn[j, j] = turn[j + half, j + half] = c
        turn[j, j + half], turn[j + half, j] = -s, s
    n_heads, repeat = len(q) // size, len(q) // len(k)
    heads = [(q[h * size :][:size], k[h // repeat * size :][:size]) for h in range(n_heads)]
    return np.array([x.T @ turn @ y for x, y in heads])


def gap_coins(values, first):
    """Disjoint neighbouring gaps of the bulk, from the first or second on: one number a pair."""
    n = len(values)
    bulk = sorted((math.log(v) for v in values), reverse=True)
    bulk = bulk[math.ceil(0.12 * n) : n - math.ceil(0.06 * n)]
    gaps = [math.log(x - y) for x, y in zip(bulk, bulk[1:], strict=False)][first:]
    gaps = gaps[: len(gaps) // 2 * 2]
    gaps = [max(g, float(np.median(gaps)) - 3) for g in gaps]
    at = [-1 + 2 * i / (len(gaps) - 1) for i in range(len(gaps))]
    pairs = range(0, len(gaps), 2)
    design = np.vander([(at[i] + at[i + 1]) / 2 for i in pairs], 4)
    trend = np.linalg.lstsq(design, [(gaps[i] + gaps[i + 1]) / 2 for i in pairs], rcond=None)[0]
    left = np.array(gaps) - np.vander(at, 4) @ trend
    coins = []
    for i in pairs:
        around = float(np.median(left[max(0, i - 4) : i + 6]))
        is_broken = max(left[i], left[i + 1]) > around + math.log(3)
        coins.append(0.0 if is_broken else left[i] - left[i + 1])
    return coins


def coin_evalue(a, b, x):
    """Product over pairs of gaps of one plus or minus x, weighted, as the two models agree."""
    return math.prod(1 + x * math.tanh(p) * math.tanh(q) for p, q in zip(a, b, strict=True))
