"""Words for each piece of evidence of a kind, a parent or a direction, and for declared parents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weightkin.records import Clue
from weightkin.records.form import probability_words
from weightkin.records.registry import DeclaredParent
from weightkin.report.reasons import REASON_WORDS, Words, in_words
from weightkin.text import counted, percent

IMAGES = {
    "equal": "equal",
    "cast": "equal after casting to {}",
    "quantised": "quantised (within half a step)",
    "levels": "quantised (not within half a step)",
    "pruned": "equal except for new zeros",
    "near": "nearly equal",
    "factored": "equal up to rounding, one of the two stored as two factors",
    "low-rank": "a product of two factors of lower rank, near the other's",
    "finer": "equal before the other model was rounded",
    "scaled": "scale vectors that compensate for rescaled channels",
    "changed": "otherwise changed",
}
BASES = {
    "calibrated": "dependent by calibrated evidence",
    "equal": "dependent by equal values",
    "exact": "dependent by exact tests",
    "exact-unconfirmed": "dependent by exact tests that no invariant confirms",
}


def evidence_line(found: Clue) -> str:
    """One piece of evidence as one line."""
    data = found.data
    line = in_words(EVIDENCE_WORDS, found.code, data)
    if "log_odds" in data and isinstance(data.get("error"), float | int):
        line += f" (such evidence is wrong in {percent(data['error'], 1)} of cases)"
    return f"{found.step}: {line}" if found.step else line


def declared_words(parent: DeclaredParent) -> str:
    """What is known of a declared parent, with the comparison that shows it."""
    line = in_words(DECLARED_WORDS, parent.code, parent.data)
    if parent.summary is None:
        return line
    return f"{line}; {parent.summary.sentence}" if line else parent.summary.sentence


def _images(x: Mapping[str, Any]) -> str:
    images = x["images"]
    parts = [f"{n} {IMAGES[image].format(x['dtype'])}" for image, n in images.items()]
    return f"{sum(images.values())} tensors of {x['child']}: {', '.join(parts)}"


def _share(share: float) -> str:
    """An estimated share, which noise can raise above one."""
    return "about all" if share >= 1 else percent(share)


def _unused_rows(x: Mapping[str, Any]) -> str:
    older = x["a"] if x["c"] < 1 else x["b"]
    return (
        f"unused tokens: the embedding rows of {x['n_rows']} tokens that training never used are "
        f"{_smaller(x['c'])} in {x['b']} than in {x['a']}, so {older} was trained less: it may be "
        "the parent or an older sibling (not counted)"
    )


def _shrank(x: Mapping[str, Any]) -> str:
    side = "for" if x["c"] < 1 else "against"
    return (
        f"unused tokens: the embedding rows of {x['n_rows']} tokens that training never used are "
        f"{_smaller(x['c'])} than in the parent (weight decay), which speaks {side} this direction"
    )


def _smaller(factor: float) -> str:
    change = 100 * abs(1 - factor)
    return f"{change:.2g} % {'smaller' if factor < 1 else 'larger'}"


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
    via = f", via {', '.join(x['through'])}" if x["through"] else ""
    return f"among {x['n']} models: {x['child']} is placed below {x['parent']}{via}"


EVIDENCE_WORDS: Mapping[str, Words] = {
    "text": "{text}",
    "image-of": lambda x: (
        f"{x['child']} can be made from {x['parent']} ({' and '.join(x['kinds'])}), but not the "
        "reverse"
    ),
    "grown-or-cut": lambda x: (
        f"shape ({', '.join(x['kinds'])}): the part that only {x['child']} or only {x['parent']} "
        "has may have been added or removed (not used as evidence of direction)"
    ),
    "against-repeats": "shape, against: the parent repeats blocks that {child} has once",
    "against-depth": "shape, against: {child} has {n} blocks, the parent {n_parent}",
    "against-units": "shape, against: {child} has more units than the parent",
    "against-rows": "shape, against: {child} has fewer token rows than the parent",
    "against-order": "shape, against: the units of {child} are in another order",
    "against-experts": "shape, against: {child} lacks experts of the parent",
    "noise-in": "the noise correlates with {child} only (z = {z:.1f}), so it was added there",
    "coarse-lattice": "the unchanged tensors of {child} have the {lattice} precision of {parent}",
    "averaged-positions": "{tensor} of {model}: position {at} is stored as {value:g}, as averaging "
    "of models leaves it: {model} was merged",
    "stored-twice": lambda x: (
        f"{counted(x['n'], 'MLP')} of {x['model']} stand twice, with "
        f"{'equal' if x['is_equal'] else 'different'} values: {x['tensor']} and {x['other']}"
    ),
    "unused-rows": _unused_rows,
    "ask-relatives": "two models alone do not show which came first; a third, related one may",
    "equal-has-no-direction": "equal values have no direction",
    "nothing-comparable": "no tensors can be compared",
    "white-difference": "the difference is white noise",
    "equal-but-not-finite": lambda x: (
        f"equal except for {x['n']} tensor{'s' * (x['n'] > 1)} with values that are not finite"
    ),
    "equal-names-equal": "all tensors with the same name are equal",
    "equal-up-to-rounding": "equal except for the last digits of float32",
    "distance": "of the matrices: median distance {distance:.3f}, median cosine {cosine:.3f}",
    "far-apart": "far apart; where a test relates them: distant siblings, or one initialisation "
    "trained twice",
    "moved-far": "of the matrices: median distance {distance:.3f}, median cosine {cosine:.3f}; "
    "every tensor changed a lot",
    "blocks-share-nothing": "{n} blocks have no shared weights, the others are equal",
    "matrices-share-nothing": "{n} matrices have no shared weights, the others have",
    "heads-not-looked-at": "{n} matrices of attention have no shared values; whether their heads "
    "are in another basis is not known: `weightkin compare A B --recover FILE` on the weights "
    "examines all heads whose rows it can tell",
    "low-rank": "{n} matrices differ by a matrix of rank {rank}, {n_equal} tensors are equal",
    "images": _images,
    "blocks-kept": "{child} has {n} of {n_parent} blocks, in order",
    "blocks-inserted": "{child} has {n} more blocks, which write nothing",
    "blocks-repeated": "{child} has {n} blocks, copied from {n_parent}, some repeated",
    "units-kept": "{child} has only {n} of the hidden units, in order",
    "units-kept-unordered": "{child} has only {n} of the hidden units, in another order",
    "rows-added": "{child} has {n} token rows, its parent {n_before}",
    "experts-from-mlps": "{child} has {n} experts for each MLP of the parent",
    "turned-rows": "all sampled values are equal; rows of queries and keys are in another order",
    "rows-reordered": lambda x: f"the same rows in another order: {', '.join(x['roles'])}",
    "one-holds-other": "every tensor of one model is in the other",
    "blocks-in-other-order": "the same blocks in another order",
    "shared-networks": lambda x: (
        f"equal or alike: {', '.join(x['parts'])}; nothing was found in the rest"
    ),
    "equal-after-rounding": "equal once both are rounded to {dtype}",
    "noise-bits": "what {parent} holds beyond {child} looks like added noise, so it shows no "
    "direction",
    "equal-sample": "all sampled values are equal",
    "equal-all": "all values are equal",
    "mixture": _mixture,
    "mixture-leaves": lambda x: (
        f"the mixture leaves {100 * x['share']:.2g} % of the squared distance to its nearest parent"
    ),
    "tensors-copied": "{n} of {n_tensors} tensors are copies, each of one of {n_parents}",
    "more-layers": "{n} blocks, more than any parent has",
    "same-in-all": "{n} tensors are the same in all parents, so this model may be their ancestor",
    "masked-vectors": lambda x: (
        f"{percent(x['share'], 1)} of the changed entries are exact combinations of {x['n']} "
        "masked task vectors"
    ),
    "masked-kept": lambda x: (
        "share of entries taken from each: " + ", ".join(map(percent, x["shares"]))
    ),
    "masked-factors": lambda x: "factor of each: " + ", ".join(f"{f:.4g}" for f in x["factors"]),
    "mixture-not-exact": "not exact: the model was changed after merging, or a parent is missing",
    "mixture-undetermined": "direction undetermined: the equation also fits with another model as "
    "the child",
    "relative-distance": "overall distance {distance:.4f}",
    "inherits": lambda x: f"inherits {_share(x['share'])} of the changes that made its parent",
    "noise-undetermined": "the difference is noise; it is open which of the two it was added to",
    "unused-rows-shrank": _shrank,
    "older-sibling": "the parent may be an older sibling instead: more related models may show it",
    "several-roots": "{n} related models have no parent among these: they probably come from a "
    "model that is not here, or from one random start",
    "compared": _compared,
    "recipe": "the MoTHer recipe: direction by kurtosis, without a probability",
    "nearest-of-family": "compared only with the {n} nearest models of a larger family; "
    "`weightkin tree --registry FILE` computes the whole family",
    "sketches-alone": lambda x: in_words(REASON_WORDS, "sketches-alone", x),
    "imported": "imported: computed elsewhere by weightkin {version}, not verified here",
    "among-equal": "among {n} models: equal contents",
    "among-below": _through,
    "among-neither": "among {n} models: neither is placed below the other",
    "together": "every step is determined, but all together only with {probability:.2f}",
    "step-undetermined": "the parent is undetermined ({probability:.2f})",
}


def possible_words(x: Mapping[str, Any]) -> list[str]:
    """What is known of a parent that is only possible: its probability, who is older, how far."""
    kind = x["kind"]
    said = ["kind unknown" if kind == "unknown" else f"kind: {kind}"]
    if "probability" in x:
        said.append(f"probability as the parent {probability_words(x['probability'])}")
    if "older" in x:
        said.append(f"as the older of the two {probability_words(x['older'])}")
    if "distance" in x:
        said.append(f"overall distance {x['distance']:.3g}")
    if "is_registered_first" in x:
        said.append(f"registered {'before' if x['is_registered_first'] else 'after'} this model")
    return said


DECLARED_WORDS: Mapping[str, Words] = {
    "text": "{text}",
    "itself": "the model itself (same values)",
    "not-registered": "not in this registry",
    "compared": "",
    "on-path": "on the path to the root",
    "made-from-it": "related, but was derived from this model",
    "place-not-shown": "related; whether it is a parent is undetermined",
    "inferred": "inferred parent ({kind})",
    "perhaps": lambda x: f"possibly a parent ({'; '.join(possible_words(x))})",
}
