"""Words for each piece of evidence of a kind, a parent or a direction, and for declared parents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightkin.records import Clue
from weightkin.records.registry import DeclaredParent
from weightkin.report.reasons import Words, in_words

IMAGES = {
    "equal": "equal",
    "cast": "equal after casting to {}",
    "quantised": "on few levels, within half a step",
    "levels": "on few levels",
    "pruned": "equal but for new zeros",
    "near": "near copies",
    "finer": "equal before the other was cast",
    "scaled": "vectors that take back the scales of channels",
    "changed": "changed otherwise",
}
BASES = {
    "calibrated": "dependent by calibrated evidence",
    "equal": "dependent by equal values",
    "exact": "dependent by exact tests",
}


def evidence_line(found: Clue) -> str:
    """One piece of evidence as one line."""
    data = found.data
    line = in_words(EVIDENCE_WORDS, found.code, data)
    if "error" in data and isinstance(data.get("log_odds"), float | int):
        line += f" (log-odds {data['log_odds']:+.1f}, error {data['error']:g})"
    return f"{found.step}: {line}" if found.step else line


def declared_words(parent: DeclaredParent) -> str:
    """What is known of a declared parent, with the comparison that tells it."""
    line = in_words(DECLARED_WORDS, parent.code, parent.data)
    if parent.summary is None:
        return line
    return f"{line}; {parent.summary.sentence}" if line else parent.summary.sentence


def _images(x: Mapping[str, Any]) -> str:
    images = x["images"]
    parts = [f"{n} {IMAGES[image].format(x['dtype'])}" for image, n in images.items()]
    return f"of {sum(images.values())} tensors of {x['child']}: {', '.join(parts)}"


def _unused_rows(x: Mapping[str, Any]) -> str:
    older = x["a"] if x["c"] < 1 else x["b"]
    return (
        f"unused tokens: the rows of {x['n_rows']} tokens that training never used are "
        f"{x['c']:.6f} times as large in {x['b']} as in {x['a']}: {older} is older, which makes it "
        "a parent or an older sibling (not counted: from a pair alone it gives no direction)"
    )


def _shrank(x: Mapping[str, Any]) -> str:
    side = "for" if x["log_odds"] > 0 else "against"
    return (
        f"unused tokens: the rows of {x['n_rows']} tokens that training never used are "
        f"{x['c']:.6f} times as large as in the parent (weight decay): counted {side} this "
        f"direction (log-odds {x['log_odds']:+.1f})"
    )


def _mixture(x: Mapping[str, Any]) -> str:
    parts = zip(x["weights"], x["parents"], strict=True)
    mix = " + ".join(f"{w:.3f} {name}" for w, name in parts)
    on = f" on {x['base']}" if x["base"] else ""
    return f"{x['child']} = {mix}{on} ({x['method']})"


def _compared(x: Mapping[str, Any]) -> str:
    """What the comparison of two models found that a sketch does not show."""
    found = x["summary"]
    line = BASES[found["basis"]]
    if found.get("margin") is not None:
        return f"{line}: above all {found['n_controls']} controls, margin {found['margin']:.1f}"
    return f"{line}, log10 p {found['log10_pvalue']:.1f}"


def _through(x: Mapping[str, Any]) -> str:
    through = f", through {', '.join(x['through'])}" if x["through"] else ""
    return f"among {x['n']} models: {x['child']} is below {x['parent']}{through}"


EVIDENCE_WORDS: Mapping[str, Words] = {
    "text": "{text}",
    "image-of": lambda x: (
        f"lossy map: {x['child']} is the image of {x['parent']} ({' and '.join(x['kinds'])})"
    ),
    "grown-or-cut": lambda x: (
        f"shape: what {x['child']} or {x['parent']} has more may be added or cut: "
        f"{', '.join(x['kinds'])} (not counted: from a pair alone it gives no direction)"
    ),
    "against-repeats": "shape: but the parent repeats blocks that {child} has once",
    "against-depth": "shape: but {child} has {n} blocks where the parent has {n_parent}",
    "against-units": "shape: but {child} has more units than the parent",
    "against-rows": "shape: but {child} has fewer token rows than the parent",
    "against-order": "shape: but {child} has units in another order",
    "against-experts": "shape: but {child} lacks experts of the parent",
    "noise-in": "noise: white noise, correlated with {child} alone (z = {z:.1f})",
    "coarse-lattice": "lattice: what {child} left alone lies on the {lattice} lattice of {parent}",
    "unused-rows": _unused_rows,
    "ask-relatives": "these two models alone do not show which came first; relatives of them may",
    "equal-has-no-direction": "equal values have no direction",
    "nothing-comparable": "no tensor can be compared",
    "white-difference": "the difference is white",
    "equal-but-not-finite": lambda x: (
        f"equal but for {x['n']} tensor{'s' * (x['n'] > 1)} with values that are not finite"
    ),
    "equal-names-equal": "all tensors of equal names are equal",
    "equal-up-to-rounding": "equal up to rounding of the last digits of float32",
    "distance": "typical relative distance {distance:.3f}, cosine {cosine:.3f}",
    "far-apart": "siblings far apart, or one initialisation trained twice",
    "moved-far": "typical relative distance {distance:.3f}, cosine {cosine:.3f}: every tensor "
    "moved far",
    "blocks-share-nothing": "{n} blocks share nothing, the others are equal",
    "matrices-share-nothing": "{n} matrices share nothing, the others do",
    "low-rank": "{n} matrices changed by rank {rank}, {n_equal} tensors are equal",
    "images": _images,
    "blocks-kept": "{child}: {n} of {n_parent} blocks, in order",
    "blocks-repeated": "{child}: {n} blocks from {n_parent}, some repeated",
    "units-kept": "{child}: {n} hidden units of more, in order",
    "units-kept-unordered": "{child}: {n} hidden units of more, in another order",
    "rows-added": "{child}: {n} token rows, {n_before} before",
    "experts-from-mlps": "{child}: {n} experts for each MLP of the parent",
    "turned-rows": "all values of the sample are equal, rows of queries and keys in another order",
    "rows-reordered": lambda x: f"the same rows in another order: {', '.join(x['roles'])}",
    "one-holds-other": "all tensors of one model are in the other",
    "equal-sample": "all values of the sample are equal",
    "equal-all": "all values are equal",
    "mixture": _mixture,
    "mixture-leaves": lambda x: (
        f"leaves {100 * x['share']:.2g} % of the squared distance to the best single model"
    ),
    "tensors-copied": "{n} of {n_tensors} tensors are copies, each of one of {n_parents}",
    "more-layers": "{n} layers, more than any parent has",
    "same-in-all": "{n} tensors are the same in all parents: may be their ancestor",
    "masked-vectors": lambda x: (
        f"{100 * x['share']:.1f} % of the changed entries are exact combinations of {x['n']} "
        "masked task vectors"
    ),
    "masked-kept": lambda x: "kept: " + ", ".join(f"{100 * s:.0f} %" for s in x["shares"]),
    "masked-factors": lambda x: "factors: " + ", ".join(f"{f:.4g}" for f in x["factors"]),
    "mixture-not-exact": "not exact: changed after merging, or a parent is missing",
    "mixture-undetermined": "direction undetermined: the same relation holds with another model as "
    "the child",
    "relative-distance": "relative distance {distance:.4f}",
    "inherits": "inherits {share:.2f} of what its parent learned (siblings: under 0.5)",
    "noise-undetermined": "the difference is noise: which of the two it was added to is not shown",
    "rewritten-undetermined": "both have relatives in their own layout: which of the two was "
    "rewritten is not shown",
    "unused-rows-shrank": _shrank,
    "older-sibling": "it may be an older sibling, not a parent: more relatives may show which",
    "few-children": "unused tokens do not show which came first, and the root has few children: "
    "this model may be its parent as well",
    "distant": "each inherits less than 0.6 of the other: they share an initialisation or an early "
    "ancestor",
    "new-part": "the nearest of them has a new part, and these share the old one: from another "
    "ancestor",
    "has-moved": "the changes from here to all its relatives share a part: it has moved since they "
    "left",
    "came-through": "has the same loss that {model} has against its original: derived through it",
    "coarse": "tied: stored so coarsely that it may also have been made from {model} and rounded "
    "afterwards",
    "tied-map": "tied: the same map of {model} gives exactly these values as well",
    "tied-copy": "tied: its parent cannot be distinguished from {model}, a copy of it",
    "tied-twin": "tied: as near to {model} and equal to its parent in every matrix",
    "tied-near": "tied: another model is as near",
    "twins": "all matrices that both models have are equal: which came first is not shown",
    "compared": _compared,
    "units-by-tokens": "units seen through tokens differ by {distance:.2e}",
    "recipe": "direction by kurtosis, as in the second paper, which gives no probability",
    "nearest-of-family": "placed among the {n} nearest of a larger family: tree --registry shows "
    "all of it",
    "imported": "imported: found by weightkin {version} elsewhere, and not recomputed here",
    "among-equal": "among {n} models: equal contents",
    "among-below": _through,
    "among-neither": "among {n} models: neither is below the other",
    "together": "every step is determined, all of them together with probability {probability:.2f}",
    "step-undetermined": "which came first is undetermined ({probability:.2f})",
}
DECLARED_WORDS: Mapping[str, Words] = {
    "text": "{text}",
    "itself": "the model itself, by its values",
    "not-registered": "not in this registry",
    "compared": "",
    "on-path": "on the path to the root",
    "made-from-it": "shares weights, but was made from this model",
    "place-not-shown": "shares weights, its place as a parent is not shown",
    "inferred": "inferred as a parent ({kind}), and not declared",
    "perhaps": "related ({kind}), perhaps a parent, and not declared",
}
