"""The terms of reports, each explained once.

Column heads and labels of a report that are a term, or stand for one, link to its explanation at
the end. Where `docs/glossary.md` has a term too, its words are the same.
"""

from __future__ import annotations

import re

TERMS = {
    "aligned only": "the order of the units agrees, but matched units are too little alike to show"
    " shared weights; one model may have been arranged to match the other",
    "alpha": "the significance level of a verdict: how small its p-value must be",
    "axis": "a set of units with its symmetry group: hidden units of an MLP, V/O dimensions, heads,"
    " residual width",
    "basis": "what a verdict rests on: `exact` (exact and bound tests), `exact-unconfirmed` (the"
    " same tests, where it is not excluded that one model was made to match the other), `equal`"
    " (equal values), `calibrated` or `none`",
    "best wrong match": "the cosine of a unit with the most similar unit that is not its partner:"
    " what is reached by chance alone",
    "block": "the group of tensors of one layer",
    "components": "one network of a diffusion model, such as its text encoder",
    "control": "a pair of models known to be unrelated; calibrated evidence is compared with such"
    " pairs",
    "cosine": "how alike two rows of numbers are: 1 for the same direction, 0 for unrelated rows;"
    " it is not a share of anything that was copied",
    "dependent": "the models share weights or an initialisation (the same random start)",
    "digest": "hash of contents: `wk1-…` covers names, types, shapes and a fixed set of rows; the"
    " full digest covers every byte",
    "direction": "which of two models came first; it has a probability and evidence of its own",
    "equal values": "numbers of one model that the other holds unchanged, in the same place or in"
    " another one",
    "extent": "the share of all sampled units that match their own index, with the range that holds"
    " it in 95 of 100 samples",
    "heads": "the parts of an attention layer that work side by side; their order is arbitrary",
    "hidden units": "the coordinates inside an MLP (feed-forward layer); their order is arbitrary",
    "kind": "how a child was made, such as `fine-tuned` or `merged`",
    "log10 p": "a p-value by its power of ten: −6 is one in a million, 0 means that nothing was"
    " found",
    "matching": "the most similar unit of another model for each unit, found without using the"
    " indices",
    "median distance": "the size of the difference of one matrix over the size of that matrix,"
    " taken of every matrix of the blocks; half of them are nearer, half farther",
    "no evidence": "at least half of the parameters were tested and nothing was found; this does"
    " not show that the models are independent",
    "not testable": "no test applies, or the tests cover too little",
    "null": "the null hypothesis of a p-value, and how the p-value was computed: `exact`, `bound`,"
    " `monte-carlo`, `asymptotic` or `calibrated`",
    "null hypothesis": "what a small p-value speaks against: that the two models were initialised"
    " independently, and that neither was reordered to match the other",
    "overall distance": "the size of the difference of all weights together, over the size of the"
    " weights: 0 where they are equal, 1.4 where they are unrelated",
    "p-value": "how probable agreement as strong as this is, at most, if the models are"
    " independent; 1.00 means that nothing was found",
    "parameters": "the numbers that a model consists of, its weights",
    "parent, child": "two models of which one was made from the other",
    "probability": "of the parent drawn, among all candidates; from 0.8 on it is determined",
    "query-key signs": "signs of the coordinates by which queries and keys meet: both may be"
    " flipped together without changing what the model computes",
    "ratio": "the cosine of matched units over that of the best wrong match; by chance about 1",
    "residual width": "the vector that runs through all blocks (hidden size); all blocks share one"
    " order of its coordinates",
    "rotary planes": "pairs of coordinates of queries and keys that position embeddings turn"
    " together",
    "seed": "the number from which everything left to chance was drawn",
    "share of alpha": "the part of the significance level that was set aside for one axis before"
    " the models were compared, since several tests share one level",
    "signs": "whether units are positive or negative in both models alike: a unit may be flipped"
    " without changing what the model computes",
    "signs by tokens": "the same as signs, of units as they act on single tokens; also found in"
    " rotated copies",
    "statistic": "the number that a test computes, such as how many units match their own index",
    "support": "share of resamples of the matrices in which the parent is the nearest model",
    "unit": "a hidden coordinate that may be renumbered without changing what the model computes",
    "units by tokens": "the same as hidden units, compared by what they do to single tokens; also"
    " found in rotated copies",
    "unobserved ancestor": "a model that is not among those given; the weights of its children show"
    " that it exists",
    "V/O dimensions": "the coordinates that an attention head reads (value) and writes (output)",
    "verdict": "`dependent`, `aligned-only`, `no-evidence` or `not-testable`",
}
ALSO = {  # labels that stand for a term
    "blocks": "block",
    "block of a": "block",
    "block of b": "block",
    "child": "parent, child",
    "parent": "parent, child",
    "component": "components",
    "controls": "control",
    "came first": "direction",
    "cosine (best wrong match)": "cosine",
    "cosine (by chance)": "cosine",
    "how made": "kind",
    "full digest": "digest",
    "distance": "overall distance",
    "related by": "p-value",
    "share of parameters": "parameters",
    "significance level (alpha)": "alpha",
    "units": "unit",
}


BY_LABEL = {term.lower(): term for term in TERMS}


def term_of(label: str) -> str:
    """The term that a label is, or stands for; nothing where it is an everyday word."""
    word = label.lower()
    return BY_LABEL.get(word, "") or ALSO.get(word, "")


def anchor_of(term: str) -> str:
    """The name of its explanation in a report."""
    return f"term-{re.sub(r'[^a-z0-9]+', '-', term.lower())}"


def meaning_of(term: str) -> str:
    """Its explanation, without the marks that set code apart."""
    return TERMS[term].replace("`", "")
