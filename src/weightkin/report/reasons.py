"""Words for each reason why something was left out, and for patterns in the order of units."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from weightkin.records import Skipped
from weightkin.records.codes import REASONS
from weightkin.text import percent, shown

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
    """How the index of units shows in their values."""
    return in_words(PATTERN_WORDS, str(found["pattern"]), found)


ON_SKETCHES = (
    "related by their sketches alone, whose rows anybody may know: it is not excluded that one "
    "model was made to match the other"
)


def _nested(data: Mapping[str, Any]) -> str:
    reason = data["reason"]
    return in_words(REASON_WORDS, str(reason["code"]), reason)


def _both(data: Mapping[str, Any]) -> str:
    return f"(a: {pattern(data['a'])}; b: {pattern(data['b'])})"


def _rule(data: Mapping[str, Any]) -> str:
    """How tokens of two models were paired."""
    rule = data["rule"]
    words = {
        "text": "{n} tokens of equal text",
        "rows": "equal rows of the embedding",
        "content": "what {n} rows of the embeddings look like",
        "pixels": "equal patch pixels and positions",
    }[rule["by"]].format(n=rule.get("n"))
    return words if rule.get("alike", True) else f"{words} (which have nothing in common)"


PATTERN_WORDS: Mapping[str, Words] = {
    "sinusoids": "{tensor} contains sinusoidal position values",
    "copied-heads": "{n} of the heads in {block} are copies of other heads",
    "sorted": "{role}: row norms follow the unit index (sorted or nested units)",
    "neighbours": "{role}: neighbouring units are similar",
    "twins": "{role}: units are similar to those at a fixed index distance (twins)",
    "formula": "{role}: values depend on the unit index ({rule}), so they were probably "
    "initialised by a formula",
}
REASON_WORDS: Mapping[str, Words] = {
    **{code: "{error}" for code, names in REASONS.items() if names == ("error",)},
    "program-text": "the text of a program",
    "zip-entry": "an entry of the zip archive that torch does not write",
    "unused-storage": "a storage that no tensor uses",
    "text-elements": "elements that are texts",
    "plain-values": "a pickle with many numbers or texts beside its tensors",
    "is-sketch": "already a sketch",
    "name-no-text": "the name is not valid UTF-8",
    "text": "{text}",
    "sketch-sample": "a sketch contains only a sample ({scheme})",
    "taken-without-full-digest": "the sketch was made without --full-digest",
    "smaller-sample": "only a smaller sample ({scheme}) was used, because the model is on a hub; "
    "download it to use a full sample",
    "costs-bytes": lambda x: (
        f"not run, to avoid reading {x['n_bytes'] / 1e6:.0f} MB from a hub; "
        "use --effort thorough, or download the model"
    ),
    "quick-reads-units": "--effort quick tests hidden units only",
    "tokens-beyond-sample": lambda x: f"{x['n_rows']} rows were used, paired by {_rule(x)}",
    "first-experts": "only the first {n} experts of a block are compared",
    "large-group": "more than {n} of them, so only tensors of equal name are compared",
    "only-sketch": "only a sketch is available",
    "left-on-hub": "its weights are on a hub, and are not read from there to confirm a relation",
    "damaged-entry": "damaged ({error}); remove it by its number and add the model again",
    "damaged-found": "damaged ({error}); it is not used, and computed again by the next question",
    "damaged-job": "damaged ({error}); give the sources of interrupted jobs to `add` again",
    "damaged-database": "damaged ({error}); restore the registry with the folder beside it from a "
    "copy, or add the models to a new one",
    "registry-damaged": "its entry is damaged (see `weightkin verify --registry FILE`)",
    "source-not-opened": "only an imported file or a sketch says where its weights are",
    "no-token-views": "the sketch of {model} ({scheme}) has no token views: sketch or add the "
    "model again",
    "weights-changed": "the weights have changed since it was registered",
    "sketch-shows-nothing": lambda x: (
        f"the sketch shows no relation and the weights cannot be used: {_nested(x)}"
    ),
    "compared-by-sketch": lambda x: f"only its sketch was compared: {_nested(x)}",
    "too-few-for-weights": "trainer file of {n_bytes:,} bytes, too small to contain weights",
    "no-unit": "no unit could be matched: in one model, all units that were read are zero, equal "
    "or not finite",
    "no-axis": "no unit axis of it is known",
    "adapter-alone": "an adapter alone is no model",
    "no-such-axis": "{kind} axes are known in only one of the two models",
    "no-such-stack": "only one of the two models has a {stack} stack",
    "no-shared-stack": "no blocks of one have the names or the shapes of blocks of the other",
    "depths-differ": "a has {n_a} blocks, b has {n_b}",
    "only-other-stacks": "only stack {stack_a} of a and stack {stack_b} of b are known to be "
    "related; compare files that contain one network each",
    "no-view-differs": "no matrix of it has the same input or output features in both models",
    "no-view-read": "no matrix of it could be read",
    "non-finite-rows": "non-finite values in the rows read",
    "non-finite-sample": "non-finite values in the sample",
    "non-finite-tensors": "{n} of {n_tensors} tensors contain non-finite values and were left out",
    "zero-rows": "all rows read are zero",
    "no-tested-axis": "on no axis that a test could use",
    "no-counterpart": "nothing of its role in the other model",
    "order-carries-meaning": lambda x: f"the unit order is not random in either model {_both(x)}",
    "formula-behind": "{role}: values depend on the unit index ({rule}) in {model}, so they were "
    "probably initialised by a formula, which the other model may have used too",
    "alike-by-index": lambda x: f"units are similar because of their index {_both(x)}",
    "no-coins": lambda x: f"the signs are not random at initialisation: {_nested(x)}",
    "layout-not-shown": "the weights of {model} do not show which rows of queries and keys are "
    "turned together by positions",
    "grouped-along-axis": "{role} is grouped along the unit axis in both models",
    "not-confirmed": "not confirmed on units outside the sample",
    "losses-copy": "training on another model's hidden states aligns the residual width too, so "
    "it is not sufficient alone",
    "out-of-reach": "even if all units matched, p would be {pvalue:.1g}, above alpha {alpha:g}",
    "share-too-small": lambda x: (
        f"the tests cover only {percent(x['share'])} of the parameters of the smaller model"
    ),
    "aligned-not-alike": "unit order agrees, but units are no more alike than by chance",
    "order-did-not-survive": "not located, because blocks are found by the order of their units; "
    "`weightkin compare` can detect such copies",
    "most-pairings": "at most {n} pairs of stacks with different names are compared",
    "only-equal-names-ranked": "only stacks of equal name are compared with controls",
    "most-blind-pairings": "signs and units by tokens are tested for at most {n} pairs of stacks",
    "no-embedding": "no embedding of tokens, patches or positions was found in both models",
    "tokens-and-images": "one model has token embeddings, the other image patches",
    "no-shared-token": "the vocabularies share no token",
    "few-tokens": "the two sketches have too few tokens in common",
    "no-key-heads": "no key heads were found in both models",
    "patches-differ": "the numbers of patches or positions differ",
    "no-shared-patch": "no patch or position is shared",
    "no-mlp-in-both": "gate, up and down of an MLP are not known in both models",
    "classes-differ": "a is of class {a}, b of class {b}",
    "few-shared-rows": "too few shared embedding rows ({n_a} and {n_b})",
    "no-equal-depth": "no blocks of equal depth in which both matrices can be read",
    "too-few-controls": "not used for the verdict: {n} of {n_needed} unrelated pairs are known "
    "({model_class}, {n_units} units and width {width} within a factor {factor}, {n_rows} shared "
    "rows); `weightkin controls add` adds pairs",
    "too-few-by-content": "not used for the verdict: {n} of {n_needed} unrelated pairs are known "
    "whose tokens were paired by content ({model_class}, {n_units} units and width {width} within "
    "a factor {factor}, {n_rows} rows)",
    "split-units": "not used for the verdict: the units that both views pair are hardly more alike "
    "than others on the view that no split of units changes",
    "formula-start": "not used for the verdict: hidden units were initialised by a formula, "
    "those of the controls at random",
    "no-class": "no control: gate, up and down of an MLP, or an embedding, are not known",
    "no-partner": "no control: no other model of the list is {model_class} and of about its size",
    "costs-more": "no control: {n_bytes:,} bytes would be read, at most {most:,} are (--most)",
    "nothing-undone": "not written: b is not a permuted, rotated or rescaled copy of a",
    "shapes-differ": "the paper's statistics need equal names and shapes",
    "no-folder": "{model} is not a folder with a config, which is needed to run a model",
    "too-large-to-run": "{model} needs {gib} GiB in float32; models of at most {most} GiB are run",
    "slow-to-fit": "not fitted: one matrix has {n} weights, which takes too long",
    "first-block-only": "fitted for the first block only, because fits are slow",
    "blocks-unpaired": "a has {n_a} blocks, b has {n_b}; only equal names are paired",
    "widths-differ": "hidden widths differ, so units cannot be paired by index",
    "plain-mlps": "plain MLPs have no gate to match; the generalised test covers them",
    "no-common-outputs": "no output distributions over the same vocabulary",
    "mlps-alone": "the MLPs were run alone, so there are no outputs of the model",
    "projections-ran": lambda x: (
        f"its projections ran {', '.join(map(str, x['n_times']))} times in {x['n_batches']} "
        "batches, not once in each"
    ),
    "non-finite-activations": "{n} non-finite activations",
    "non-finite-outputs": "non-finite output distributions",
    "inside-one-module": "its projections run in one module (experts), which hooks cannot observe",
    "projections-unknown": "not all of its projections are known",
    "no-relative-of-shape": "no relative of the same shape",
    "whole-matrices-needed": "needs whole matrices, not a sample",
    "no-common-square": "no square matrix in common",
    "no-weights": "the sketch shows no relatives and the weights are not available",
    "too-many-alone": "weights not compared: too many models without relatives",
    "shared-part": lambda x: (
        f"they share {', '.join(map(shown, x['parts'])) or 'one network'} and nothing else "
        "was found, so neither is placed below the other"
    ),
    "path-and-registered": "both a path here and registered as #{number}: write #{number} or an "
    "absolute path",
    "several-of-name": lambda x: (
        "several registered models have this name: write one of "
        f"{', '.join(f'#{i}' for i in x['numbers'])}"
    ),
    "no-number-or-digest": "neither a number nor a whole digest: write #NUMBER, or a digest as "
    "`weightkin list` prints it",
    "not-registered": lambda x: (
        "no such registered model"
        + (f" in {shown(x['registry'])}" if x["registry"] else ", and there is no registry")
    ),
    "edge-differs": "its fresh run gave log10 p = {before}, and gives {now} now",
    "edge-not-recomputed": lambda x: f"its fresh run cannot be made again: {_nested(x)}",
    "digest-claimed": "its digest is stated by a sketch, and was not computed here",
    "removed": "it was removed",
    "registry-unread": "its registry cannot be read",
    "stacks-left-out": "the models have more stacks of blocks than are compared with each other",
    "none-named": "they are searched for only in models that the policy or --deny names",
    "hub-part-read": "only a part was read from the hub",
    "without-commons": "compared without the tensors that everybody may share",
    "rows-known": "it reads sketches, whose rows anybody may know; the secret of the policy draws "
    "only samples of models that the policy names",
    "fixed-sample": "a sketch was compared, whose rows anybody may know; a secret reads weights",
    "sketches-alone": lambda x: f"{ON_SKETCHES} ({_nested(x)})",
    "sketch-not-drawn": lambda x: (
        "no sample of it could be drawn, because only its sketch is available, whose rows anybody "
        f"may know: {_nested(x)}"
    ),
    "rows-found": lambda x: (
        f"{percent(x['share'])} of its values are in rows that this model has too, in other places"
    ),
    "equal-values": lambda x: (
        f"{percent(x['share'])} of the values read are the same at their places, or negated"
    ),
    "tests-reach-little": lambda x: f"only {percent(x['share'])} of the parameters could be tested",
    "settings": "settings in JSON",
    "text-file": "text",
    "picture": "a picture",
    "vocabulary": "the vocabulary",
    "trainer-state": "small state of a trainer",
    "no-tensor": "belong to no tensor",
    "not-blank": "padding that is not blank",
    "behind-values": "bytes behind compressed values, or past the edge of a tensor",
    "too-dense": "more data than names, shapes and settings need",
    "tensor-unread": "tensors that cannot be read",
    "unknown-field": "fields that the format does not have",
    "other-weights": "weights that were not opened",
    "lfs-pointer": "a pointer of Git LFS: the file itself is not here",
    "not-as-named": "not a file of the format that its name says",
    "no-picture": "not an image, though its name says so",
    "unknown-kind": "neither text nor of a known kind",
    "unknown-large": "a file of {n_bytes:,} bytes of an unknown kind",
    "format-unread": "{format}",
    "begun-as": "{format}",
    "json-large": "JSON of more parts than settings or a vocabulary have",
    "json-broken": "not valid JSON, though its name says so",
    "json-numbers": "JSON with numbers as weights have them",
    "text-encoded": "mostly encoded bytes",
    "text-dense": "a text as dense as encoded bytes",
    "text-of-numbers": "a text that is mostly numbers",
    "not-fetched": "not fetched from the hub",
    "link-to-nothing": "a link to nothing ({error})",
    "not-listed": "cannot be listed ({error})",
    "link-outside": "a link that leads outside the folder; name the file itself",
    "no-regular-file": "{kind}",
    "more-entries": "more than {n} entries, not all of them checked; name its folders",
    "untested-could-hold": "{n_bytes:,} bytes could not be tested; that is enough to hold the "
    "forbidden model at four bits per parameter",
}
