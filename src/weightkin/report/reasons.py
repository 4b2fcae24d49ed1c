"""Words for each reason why something was left out, and for what the index of units gives away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from weightkin.records import Skipped
from weightkin.text import shown

Words = str | Callable[[Mapping[str, Any]], str]  # a template of the data, or what makes one


def why(skipped: Skipped) -> str:
    """The reason of something left out, as one line."""
    return in_words(REASON_WORDS, skipped.code, skipped.data)


def in_words(table: Mapping[str, Words], code: str, data: Mapping[str, Any]) -> str:
    """A code with its data, by a table of words; the bare code where data of it is missing.

    Parameters
    ----------
    table : mapping
        A template, or a function of the data, for each code.
    code : str
        One of the table.
    data : mapping
        What the words need.

    Returns
    -------
    str
        One line.

    Raises
    ------
    KeyError
        The table does not have the code.
    """
    words = table[code]
    try:
        return words(data) if callable(words) else words.format_map(data)
    except (LookupError, TypeError, ValueError):  # of a record that was written by others
        return code


def pattern(found: Mapping[str, Any]) -> str:
    """What the index of units gives away."""
    return in_words(PATTERN_WORDS, str(found["pattern"]), found)


def _nested(data: Mapping[str, Any]) -> str:
    reason = data["reason"]
    return in_words(REASON_WORDS, str(reason["code"]), reason)


def _both(data: Mapping[str, Any]) -> str:
    return f"(a: {pattern(data['a'])}; b: {pattern(data['b'])})"


def _rule(data: Mapping[str, Any]) -> str:
    """How tokens of two models were paired."""
    rule = data["rule"]
    if rule["by"] == "text":
        return f"{rule['n']} tokens of equal text"
    return {"rows": "equal rows of the embedding", "pixels": "equal patch pixels and positions"}[
        rule["by"]
    ]


PATTERN_WORDS: Mapping[str, Words] = {
    "sinusoids": "{tensor} contains sinusoids of the index",
    "copied-heads": "{n} of the heads in {block} are copies of others",
    "sorted": "{role}: row norms follow the index (sorted or nested units)",
    "neighbours": "{role}: neighbouring units resemble each other",
    "twins": "{role}: units resemble others at a fixed distance (twins)",
    "formula": "{role} follows its index in {rule}, as a start by formula does",
}
REASON_WORDS: Mapping[str, Words] = {
    "unread": "{error}",
    "axis-unknown": "{error}",
    "is-sketch": "is a sketch already",
    "name-no-text": "the name is not UTF-8 text",
    "text": "{text}",
    "sketch-sample": "a sketch holds only a sample ({scheme})",
    "taken-without-full-digest": "the sketch was taken without it",
    "smaller-sample": "rest on a smaller sample ({scheme}), as a large model is read from a hub; "
    "a downloaded copy shows more",
    "costs-bytes": lambda x: (
        f"would read {x['n_bytes'] / 1e6:.0f} MB where a large model lies on a hub; "
        "effort thorough does, or download the model"
    ),
    "quick-reads-units": "effort quick reads hidden units only",
    "tokens-beyond-sample": lambda x: f"views use {x['n_rows']} rows, paired by {_rule(x)}",
    "first-experts": "only the first {n} experts of a block are looked at",
    "large-group": "more than {n} of them: only equal names are compared",
    "only-sketch": "only a sketch is available",
    "weights-changed": "its weights changed since it was registered",
    "sketch-shows-nothing": lambda x: (
        f"its sketch shows nothing, and its weights are not available: {_nested(x)}"
    ),
    "compared-by-sketch": lambda x: f"compared by its sketch: {_nested(x)}",
    "too-few-for-weights": "a file of a training program, {n_bytes:,} bytes, too small for weights",
    "no-unit": "no unit could be matched: in one model all that were read are zero, equal or not "
    "finite",
    "no-axis": "no axis of it is known",
    "no-such-axis": "no {kind} axis of model {model} is known",
    "no-such-stack": "model {model} has no {stack} stack",
    "depths-differ": "a has {n_a} blocks, b has {n_b}",
    "only-other-stacks": "only stack {stack_a} of a and stack {stack_b} of b are known to be "
    "related; compare files with one network each",
    "no-view-differs": "no view has the same features in both models",
    "no-view-read": "no view could be read",
    "non-finite-rows": "non-finite values in the rows read",
    "non-finite-sample": "non-finite values in the sample",
    "non-finite-tensors": "{n} of {n_tensors} tensors contain non-finite values: left out",
    "zero-rows": "all rows read are zero",
    "order-carries-meaning": lambda x: f"the unit order carries meaning in both models {_both(x)}",
    "formula-behind": "{role} follows its index in {rule}, as a start by formula does ({model}): "
    "the other may have begun as the same formula",
    "alike-by-index": lambda x: f"units are alike by their index {_both(x)}",
    "no-coins": lambda x: f"their signs are no coin flips: {_nested(x)}",
    "grouped-along-axis": "{role} is grouped along the unit axis in both models",
    "not-confirmed": "units outside the sample do not show it",
    "losses-copy": "training on hidden states of another model aligns the residual width, whatever "
    "the seed: alone it shows nothing",
    "out-of-reach": "every unit tested alike would give p = {pvalue:.1g}, not {alpha:g}",
    "share-too-small": "tests reach {share:.0%} of the parameters of the smaller model",
    "aligned-not-alike": "units line up, but are no more alike than chance",
    "order-did-not-survive": "located only where the order of units survived; compare has tests "
    "that are blind to it",
    "most-pairings": "only {n} pairings of stacks under different names are looked at",
    "only-equal-names-ranked": "only stacks of equal names are ranked among controls",
    "most-blind-pairings": "signs and views through tokens are looked at for up to {n} pairings",
    "no-embedding": "no embedding of tokens, patches or positions was found in both models",
    "tokens-and-images": "one model reads tokens, the other images",
    "no-shared-token": "the vocabularies share no token",
    "patches-differ": "patches and positions of different number",
    "no-shared-patch": "no patch or position is shared",
    "no-mlp-in-both": "no MLP whose gate, up and down are known in both models",
    "classes-differ": "a is {a}, b is {b}: not of one class",
    "few-shared-rows": "{n_a} and {n_b} rows of the embeddings are shared",
    "no-equal-depth": "no block of equal depth whose two views can be read",
    "too-few-controls": "{n} controls of {model_class} models with {n_rows} shared rows and within "
    "a factor {factor} of {n_units} units and width {width}, {n_needed} are needed: listed only "
    "(weightkin controls add)",
    "formula-start": "hidden units began as a formula, those of the controls at random: listed "
    "only",
    "nothing-undone": "no disguise was undone, so no maps were written",
    "shapes-differ": "the paper's statistics need equal names and shapes",
    "cannot-run": "{error}",
    "no-folder": "{model} is no folder with a config, which running a model needs",
    "too-large-to-run": "{model} takes {gib} GiB in float32, at most {most} are run",
    "slow-to-fit": "{n} weights in one matrix are slow to fit",
    "first-block-only": "of the first block only, as fits are slow",
    "blocks-unpaired": "a has {n_a} blocks, b has {n_b}; only equal names are paired",
    "widths-differ": "hidden widths differ, so units have no common order",
    "plain-mlps": "plain MLPs have no gate and up to match; the generalised test refits them",
    "no-common-outputs": "no output distributions over the same vocabulary",
    "mlps-alone": "MLPs were run by themselves, without outputs of the model",
    "projections-ran": lambda x: (
        f"its projections ran {', '.join(map(str, x['n_times']))} times in {x['n_batches']} "
        "batches, expected once in each"
    ),
    "non-finite-activations": "{n} non-finite activations",
    "non-finite-outputs": "non-finite output distributions",
    "inside-one-module": "its projections run inside one module (experts), which no hook can watch",
    "projections-unknown": "its projections are not all known",
    "no-relative-of-shape": "no relative of its shape",
    "whole-matrices-needed": "whole matrices are needed",
    "no-common-square": "no square matrix in common",
    "no-weights": "no relatives by its sketch, and its weights are not available",
    "too-many-alone": "too many models without relatives to compare all weights",
    "path-and-registered": "is both a path here and registered as #{number}, expected #{number} or "
    "an absolute path",
    "several-of-name": lambda x: (
        "several registered models have this name, expected one of "
        f"{', '.join(f'#{i}' for i in x['numbers'])}"
    ),
    "no-number-or-digest": "neither a number nor a whole digest, expected #NUMBER, or a digest as "
    "`weightkin list` prints it",
    "not-registered": lambda x: (
        "no such registered model"
        + (f" in {shown(x['registry'])}" if x["registry"] else ", and there is no registry")
    ),
    "digest-claimed": "its digest is stated by a sketch, and was not computed here",
    "removed": "it was removed",
    "registry-unread": "the registry that contains it cannot be read",
    "stacks-left-out": "the two models have more stacks of blocks than are compared with each other",
    "hub-part-read": "only a part was read from the hub",
    "equal-values": "{share:.0%} of the values looked at are the same, bit for bit, at their "
    "places",
    "tests-reach-little": "only {share:.0%} of the parameters are in reach of a test",
    "untested-could-hold": "{n_bytes:,} bytes are in no part that could be tested, as many as "
    "would hold it in four bits each",
}
