"""Slow twins of the pair measurements, written like their definitions."""

from __future__ import annotations

import math

import numpy as np


def relation(x, y):
    """Squared distance, inner product, squared norms and share of equal entries, entry by entry."""
    distance = product = norm_x = norm_y = equal = 0.0
    for p, q in zip(x.ravel().tolist(), y.ravel().tolist(), strict=True):
        distance += (p - q) ** 2
        product += p * q
        norm_x += p * p
        norm_y += q * q
        equal += p == q
    return distance, product, norm_x, norm_y, equal / x.size


def ulp(value, bits, least):
    """Unit in the last place of a float of so many significant bits."""
    exponent = least if value == 0 else max(math.floor(math.log2(abs(value))), least)
    return 2.0 ** (exponent - bits + 1)


def rank(x, y, bits, least):
    """Singular values of x - y above the floor of methods section 8."""
    m, n = x.shape
    s = [[0.0] * n for _ in range(m)]
    for i in range(m):
        for j in range(n):
            both = [ulp(float(v), bits, least) for v in (x[i, j], y[i, j])]
            s[i][j] = math.sqrt(sum(u * u / 12 for u in both))
    by_row = max(math.sqrt(sum(v * v for v in row)) for row in s)
    by_column = max(math.sqrt(sum(s[i][j] ** 2 for i in range(m))) for j in range(n))
    values = np.linalg.svd(x.astype(float) - y.astype(float), compute_uv=False)
    return sum(v > 1.05 * (by_row + by_column) for v in values)


def collinear(p, q, limit=1e-9):
    """Rows of q that are a multiple of the same row of p, with their factors."""
    found = []
    for i, (u, v) in enumerate(zip(p.astype(float), q.astype(float), strict=True)):
        c = float(u @ v / (u @ u))
        if float(np.sum((v - c * u) ** 2)) < limit * float(v @ v):
            found.append((i, c))
    return found


def product_cosine(rows_x, partners_x, rows_y, partners_y, width):
    """Cosine of the products of two heads: each query head's partner rows, transposed, by rows."""
    products = []
    for rows, partners in ((rows_x, partners_x), (rows_y, partners_y)):
        size, n = partners.shape
        blocks = [
            partners[:, k : k + width].T @ rows for k in range(0, n, width)
        ]  # (width, width) of each query head
        products.append(np.concatenate(blocks).ravel())
        assert size == len(rows)
    x, y = products
    return float(x @ y / math.sqrt((x @ x) * (y @ y)))
