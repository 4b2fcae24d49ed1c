"""Closed sets of codes that records carry in the place of sentences, with the names of their data.

Words for people are in `report`, one table for each set: a new code takes a line here and there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from weightkin.records.built import OneOf
from weightkin.records.byte_codes import OF_BYTES

Names = tuple[str, ...]
Pattern = dict[str, Any]  # ``pattern``, one of `PATTERNS`, with its data
TestGroup = Literal["", "blind", "calibrated", "activations"]  # tests that something left out

# Why something was left out. ``error`` is the text of an error: those are sentences.
REASONS: Mapping[str, Names] = {
    # reading
    **dict.fromkeys(("unread", "error"), ("error",)),  # the second names what it is about itself
    **dict.fromkeys(("program-text", "zip-entry", "unused-storage", "plain-values"), ()),
    "text-elements": (),
    # why no axis is known
    **dict.fromkeys(("axis-unknown", "no-part", "two-parts", "unknown-tensor"), ("error",)),
    **dict.fromkeys(("sizes", "heads", "width", "ambiguous", "positions", "fused"), ("error",)),
    **dict.fromkeys(("wiring", "grouped", "joined", "norm-groups"), ("error",)),
    **dict.fromkeys(("few-units", "too-many", "empty", "optimiser", "not-in-sketch"), ("error",)),
    # other reasons
    **dict.fromkeys(("is-sketch", "name-no-text"), ()),
    "text": ("text",),  # a reason of 0.1.0, as it was written
    # what a sample, a sketch or a budget does not hold
    "sketch-sample": ("scheme",),
    "taken-without-full-digest": (),
    "smaller-sample": ("scheme",),
    "costs-bytes": ("n_bytes",),
    "quick-reads-units": (),
    "tokens-beyond-sample": ("n_rows", "rule"),
    "first-experts": ("n",),
    "large-group": ("n",),
    **dict.fromkeys(("only-sketch", "left-on-hub"), ()),
    "source-not-opened": (),
    "registry-damaged": (),
    **dict.fromkeys(("damaged-entry", "damaged-found", "damaged-job"), ("error",)),
    "edge-differs": ("before", "now"),
    "edge-not-recomputed": ("reason",),
    "damaged-database": ("error",),
    "no-token-views": ("model", "scheme"),
    "weights-changed": (),
    "sketch-shows-nothing": ("reason",),
    "compared-by-sketch": ("reason",),
    "too-few-for-weights": ("n_bytes",),
    # nothing to test
    **dict.fromkeys(("no-unit", "no-axis", "adapter-alone"), ()),
    "no-such-axis": ("kind", "model"),
    "no-such-stack": ("stack", "model"),
    "no-shared-stack": (),
    "depths-differ": ("n_a", "n_b"),
    "only-other-stacks": ("stack_a", "stack_b"),
    **dict.fromkeys(("no-view-differs", "no-view-read"), ()),
    **dict.fromkeys(("non-finite-rows", "non-finite-sample", "zero-rows"), ()),
    "non-finite-tensors": ("n", "n_tensors"),
    **dict.fromkeys(("no-tested-axis", "no-counterpart", "not-confirmed", "losses-copy"), ()),
    # tests that would prove nothing
    "order-carries-meaning": ("a", "b"),
    "formula-behind": ("role", "rule", "model"),
    "alike-by-index": ("a", "b"),
    "no-coins": ("reason",),
    "layout-not-shown": ("model",),
    "grouped-along-axis": ("role",),
    "out-of-reach": ("pvalue", "alpha"),
    "share-too-small": ("share",),
    **dict.fromkeys(("aligned-not-alike", "order-did-not-survive"), ()),
    # stacks under other names
    "most-pairings": ("n",),
    "only-equal-names-ranked": (),
    "most-blind-pairings": ("n",),
    # tokens and calibrated evidence
    **dict.fromkeys(("no-embedding", "tokens-and-images", "no-shared-token"), ()),
    **dict.fromkeys(("few-tokens", "no-key-heads", "patches-differ", "no-shared-patch"), ()),
    **dict.fromkeys(("no-mlp-in-both", "no-equal-depth", "no-class", "split-units"), ()),
    "classes-differ": ("a", "b"),
    "few-shared-rows": ("n_a", "n_b"),
    **dict.fromkeys(
        ("too-few-controls", "too-few-by-content"),
        ("n", "model_class", "n_rows", "factor", "n_units", "width", "n_needed"),
    ),
    "no-partner": ("model_class",),
    "costs-more": ("n_bytes", "most"),
    # kind and maps; the two papers
    **dict.fromkeys(("formula-start", "nothing-undone", "shapes-differ", "first-block-only"), ()),
    "cannot-run": ("error",),
    "no-folder": ("model",),
    "too-large-to-run": ("model", "gib", "most"),
    "slow-to-fit": ("n",),
    "blocks-unpaired": ("n_a", "n_b"),
    **dict.fromkeys(("widths-differ", "plain-mlps"), ()),
    "no-common-outputs": (),
    "mlps-alone": (),
    "projections-ran": ("n_times", "n_batches"),
    "non-finite-activations": ("n",),
    "non-finite-outputs": (),
    **dict.fromkeys(("inside-one-module", "projections-unknown", "no-relative-of-shape"), ()),
    **dict.fromkeys(("whole-matrices-needed", "no-common-square"), ()),
    # families
    "no-weights": (),
    "too-many-alone": (),
    "shared-part": ("parts",),
    **OF_BYTES,
    # what a policy names
    **dict.fromkeys(("no-number-or-digest", "digest-claimed", "removed"), ()),
    **dict.fromkeys(("registry-unread", "stacks-left-out", "hub-part-read", "none-named"), ()),
    "path-and-registered": ("number",),
    "several-of-name": ("numbers",),
    "not-registered": ("registry",),
    **dict.fromkeys(("without-commons", "rows-known", "fixed-sample"), ()),
    **dict.fromkeys(("sketches-alone", "sketch-not-drawn"), ("reason",)),
    "equal-values": ("share",),
    "rows-found": ("share",),
    "tests-reach-little": ("share",),
    "untested-could-hold": ("n_bytes",),
}
Reason = Annotated[str, OneOf("reason", REASONS)]

EARLIER = ("noise-undetermined", "older-sibling")  # only in records of earlier versions
# What tells kind, parent and direction. Those with ``log_odds`` count, with an ``error`` rate.
EVIDENCE: Mapping[str, Names] = {
    "text": ("text",),  # evidence of 0.1.0, as it was written
    **dict.fromkeys(EARLIER, ()),
    # direction of a pair
    "image-of": ("child", "parent", "kinds", "log_odds", "error"),
    "grown-or-cut": ("child", "parent", "kinds"),
    "against-repeats": ("child", "log_odds", "error"),
    "against-depth": ("child", "n", "n_parent", "log_odds", "error"),
    "against-units": ("child", "log_odds", "error"),
    "against-rows": ("child", "log_odds", "error"),
    "against-order": ("child", "log_odds", "error"),
    "against-experts": ("child", "log_odds", "error"),
    "noise-in": ("child", "z", "log_odds", "error"),
    "coarse-lattice": ("child", "parent", "lattice", "log_odds", "error"),
    "unused-rows": ("n_rows", "c", "a", "b"),
    "ask-relatives": (),
    # kind of a pair
    "equal-has-no-direction": (),
    "nothing-comparable": (),
    "white-difference": (),
    "equal-but-not-finite": ("n",),
    **dict.fromkeys(("equal-names-equal", "equal-up-to-rounding"), ()),
    "distance": ("distance", "cosine"),
    "far-apart": (),
    "moved-far": ("distance", "cosine"),
    "blocks-share-nothing": ("n",),
    "matrices-share-nothing": ("n",),
    "heads-not-looked-at": ("n",),
    "low-rank": ("n", "rank", "n_equal"),
    "images": ("child", "images", "dtype"),
    **dict.fromkeys(("blocks-kept", "blocks-repeated"), ("child", "n", "n_parent")),
    "blocks-inserted": ("child", "n"),
    "units-kept": ("child", "n"),
    "units-kept-unordered": ("child", "n"),
    "rows-added": ("child", "n", "n_before"),
    "experts-from-mlps": ("child", "n"),
    "turned-rows": (),
    "rows-reordered": ("roles",),
    **dict.fromkeys(("one-holds-other", "blocks-in-other-order", "equal-sample", "equal-all"), ()),
    "shared-networks": ("parts",),
    "equal-after-rounding": ("dtype",),
    "noise-bits": ("parent", "child"),
    # merges
    "averaged-positions": ("model", "tensor", "value", "at"),
    "stored-twice": ("model", "n", "tensor", "other", "is_equal"),
    "mixture": ("child", "parents", "weights", "base", "method"),
    "mixture-leaves": ("share",),
    "tensors-copied": ("n", "n_tensors", "n_parents"),
    "more-layers": ("n",),
    "same-in-all": ("n",),
    "masked-vectors": ("share", "n"),
    "masked-kept": ("shares",),
    "masked-factors": ("factors",),
    **dict.fromkeys(("mixture-not-exact", "mixture-undetermined"), ()),
    # edges of a family
    "relative-distance": ("distance",),
    "inherits": ("share",),
    "unused-rows-shrank": ("n_rows", "c"),
    "several-roots": ("n",),
    "compared": ("summary",),
    "recipe": (),
    "nearest-of-family": ("n",),
    "sketches-alone": ("reason",),
    "imported": ("version",),
    # a pair among its relatives
    "among-equal": ("n",),
    "among-below": ("n", "child", "parent", "through"),
    "among-neither": ("n",),
    "together": ("probability",),
    "step-undetermined": ("probability",),
}
EvidenceCode = Annotated[str, OneOf("piece of evidence", EVIDENCE)]

# What is known of a parent that a model declares, or does not.
DECLARED: Mapping[str, Names] = {
    "text": ("text",),  # a reason of 0.1.0
    "itself": (),
    "not-registered": (),
    "compared": (),
    "on-path": (),
    "made-from-it": (),
    "place-not-shown": (),
    "inferred": ("kind",),
    "perhaps": ("kind",),
}
DeclaredCode = Annotated[str, OneOf("reason", DECLARED)]

LOOSER = ("licence", "licence_class", "ancestor_licence", "ancestor_class")
# Why a rule of a policy was touched. The other model and what was found are those of the finding.
FINDINGS: Mapping[str, Names] = {
    "text": ("text",),  # as an earlier version wrote it
    # weights of another model
    **dict.fromkeys(("forbidden", "forbidden-itself", "commons"), ()),
    "forbidden-above": ("through", "probability"),
    "forbidden-perhaps": ("relative",),
    "in-forbidden-family": ("family",),
    **dict.fromkeys(("expected-not-shown", "expected-is-child", "expected-calibrated"), ()),
    **dict.fromkeys(("not-declared", "copy-not-declared", "hidden-parent"), ()),
    **dict.fromkeys(("perhaps-child", "perhaps-other-child"), ()),
    "contradicted": ("name", "declared"),
    "other-relation": ("name", "relation", "kinds"),
    # what could not be tested
    "unverified": ("name", "declared"),
    "unverified-no-registry": ("name",),
    "named-unknown": ("name", "reason"),
    "named-unread": ("error",),
    "named-not-testable": ("name",),
    "named-tested-little": ("name", "reason"),
    "family-not-testable": ("family", "n"),
    "search-not-testable": ("n", "reason"),
    "registered-left-out": ("reason",),
    # licences and origin
    "licence-missing": ("n_ancestors",),
    "licence-missing-related": ("n_relatives",),
    "licence-unknown": ("licence", "n_ancestors"),
    "licence-unknown-related": ("licence", "n_relatives"),
    **dict.fromkeys(("ancestor-licence-missing", "relative-licence-missing"), ()),
    **dict.fromkeys(("ancestor-licence-unknown", "relative-licence-unknown"), ("licence",)),
    **dict.fromkeys(("licence-looser", "licence-looser-related"), LOOSER),
    "no-relatives": ("n",),
    # what was not read
    "declaration-unread": ("error",),
    "model-unread": ("tensors", "n_more"),
    "bytes-unread": ("files", "reason", "n_more"),
    "sketch-only": (),
    "source-unread": ("error",),
    "no-registry": ("rules",),
    "registry-damaged": ("error",),
    "hidden-together": ("name", "n_bytes", "n_models", "n_beside"),
    "hidden-anywhere": ("n_bytes", "n_all"),
}
FindingCode = Annotated[str, OneOf("reason", FINDINGS)]

# What else a registry knows of the contents or the source of a model.
NOTES: Mapping[str, Names] = {
    "text": ("text",),  # as an earlier version wrote it
    "digest-claimed": (),
    "not-testable": ("share",),
    "same-contents": ("name", "id"),
    "other-contents": ("id", "digest", "added"),
}
NoteCode = Annotated[str, OneOf("note", NOTES)]

# What the index of units gives away: their labels are not exchangeable.
PATTERNS: Mapping[str, Names] = {
    "sinusoids": ("tensor",),
    "copied-heads": ("n", "block"),
    "sorted": ("role",),
    "neighbours": ("role",),
    "twins": ("role",),
    "formula": ("role", "rule"),
}


class TestFacts(NamedTuple):
    """What is known of a test by its name."""

    runs_models: bool = False  # and so agrees between machines to a few per cent only
    is_sum: bool = False  # chi-squared: it carries the spread of its p-values


_RUN, _RUN_SUM = TestFacts(runs_models=True), TestFacts(runs_models=True, is_sum=True)
TESTS: Mapping[str, TestFacts] = {
    **dict.fromkeys(("coincidences", "order", "signs", "turns", "agreement"), TestFacts()),
    **dict.fromkeys(("phi_l2", "phi_l2_squared_z", "phi_U", "phi_U_monte_carlo"), TestFacts()),
    "phi_U_fisher": TestFacts(is_sum=True),
    **dict.fromkeys(("phi_H", "phi_H_monte_carlo", "phi_JSD"), _RUN),
    **dict.fromkeys(("phi_MATCH", "phi_MATCH_agreement", "phi_MATCH_nearest"), _RUN),
    "generalised_phi_MATCH": _RUN,
    "generalised_phi_MATCH_agreement": _RUN,
    "generalised_phi_MATCH_nearest": _RUN,
    **dict.fromkeys(("phi_H_fisher", "phi_MATCH_fisher"), _RUN_SUM),
}
TestName = Annotated[str, OneOf("test", TESTS)]
