"""The table of what was made: classes kept, classes left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

HEAD = """# Library classes in the catalogue

Written by `make catalogue`. A class is kept where both of its tiny instances give equal outputs
after relabelling every axis that the entry, read back from names and shapes, gives of them. Shares
are of all parameters of the tiny instances that stand on axes.
"""


def table(made: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page.

    Parameters
    ----------
    made : mapping of str to mapping
        Facts of every class by its name, as ``work.made_facts`` gives them.

    Returns
    -------
    str
        Markdown.
    """
    kept = {name: x for name, x in made.items() if x["entry"]}
    lines = [HEAD]
    for library in sorted({name.split(".")[0] for name in made}):
        own = [name for name in made if name.startswith(f"{library}.")]
        shares = sorted(min(kept[x]["shares"]) for x in own if x in kept)
        middle = shares[len(shares) // 2] if shares else 0.0
        low = shares[len(shares) // 10] if shares else 0.0
        lines.append(
            f"{library}: {len(shares)} of {len(own)} classes; median share {middle:.0%}, "
            f"tenth percentile {low:.0%}.\n"
        )
    reasons = Counter(x["why"].partition(":")[0] for x in made.values() if not x["entry"])
    lines += ["| classes left out | why |", "|---|---|"]
    lines += [f"| {n} | {why} |" for why, n in reasons.most_common()]
    lines += ["", "| class left out | why |", "|---|---|"]
    lines += [
        f"| {name} | {x['why'].replace('|', '/')} |" for name, x in made.items() if not x["entry"]
    ]
    unknown = Counter(op for x in made.values() for op in x["opaque"])
    if unknown:
        lines += ["", "| classes | operation that no rule knows |", "|---|---|"]
        lines += [f"| {n} | {op.replace('|', '/')} |" for op, n in unknown.most_common()]
    low_ones = sorted(
        (min(x["shares"]), name) for name, x in kept.items() if min(x["shares"]) < 0.9
    )
    lines += ["", "| class kept in part | share |", "|---|---|"]
    lines += [f"| {name} | {share:.0%} |" for share, name in low_ones]
    return "\n".join(lines) + "\n"
