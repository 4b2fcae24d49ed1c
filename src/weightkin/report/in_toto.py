"""A parentage as an unsigned in-toto Statement v1, with a predicate of our own.

The predicate is an inference from weights by whoever runs this, not a statement of the builder.
Digests are under the names of their schemes, as they are no hashes of a file.
"""

from __future__ import annotations

import json
from typing import Any

from weightkin.report.clues import declared_words
from weightkin.report.parentage import Kin, Named, Parentage
from weightkin.report.terminal import printable

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:weightkin:lineage:1"


def in_toto(parentage: Parentage) -> str:
    """Return the JSON text of the statement."""
    predicate: dict[str, Any] = {
        "producer": {"name": "weightkin", "version": parentage.version},
        "method": parentage.method,
        "parameters": {**parentage.parameters, "alpha": parentage.alpha, "seed": parentage.seed},
        "nullHypothesis": "independent initialisations",
        "inferred": {
            "parents": [_kin(x, is_parent=True) for x in parentage.parents],
            "related": [_kin(x, is_parent=False) for x in parentage.kin],
        },
        "declared": [
            {"name": printable(x.name), "state": x.state, "why": printable(declared_words(x))}
            for x in parentage.declared
            if x.is_declared
        ],
    }
    for key, found in (
        ("undeclared", [x for x in parentage.declared if x.is_undeclared]),
        ("possible", [x for x in parentage.declared if x.is_possible]),
    ):
        if found:
            predicate[key] = [
                {"name": printable(x.name), "why": printable(declared_words(x))} for x in found
            ]
    if parentage.child.licence:
        predicate["declaredLicence"] = parentage.child.licence
    if parentage.why:
        predicate["noParentClaimed"] = parentage.why
    statement = {
        "_type": STATEMENT,
        "subject": [_resource(parentage.child)],
        "predicateType": PREDICATE,
        "predicate": predicate,
    }
    return json.dumps(statement, indent=2, allow_nan=False)


def _resource(model: Named) -> dict[str, Any]:
    """A resource descriptor; one without digest is an ancestor that nobody has seen."""
    made: dict[str, Any] = {"name": model.name}
    written = [x.split("-") for x in (model.digest, model.full) if "-" in x]
    if written:  # what is partial is so under another name
        made["digest"] = {"-".join((scheme, *rest)): value for scheme, value, *rest in written}
    source = model.source if model.revision else ""  # a path here says nothing there
    about = {"source": source, "revision": model.revision, "licence": model.licence}
    if kept := {key: value for key, value in about.items() if value}:
        made["annotations"] = kept
    return made


def _kin(kin: Kin, *, is_parent: bool) -> dict[str, Any]:
    found = kin.found
    made: dict[str, Any] = {
        "model": _resource(kin.model),
        "verdict": found.verdict,
        "basis": found.basis,
        "log10Pvalue": found.log10_pvalue,
        "sentence": kin.sentence,
        "kind": list(found.kind),
    }
    if found.effect is not None:
        made["effect"] = {"observed": found.effect.observed, "chance": found.effect.chance}
    if is_parent:
        made["weight"] = kin.weight
        made["directionProbability"] = found.probability
        if kin.probability is not None:
            made["parentProbability"] = kin.probability
        if kin.above:
            made["parents"] = [_kin(x, is_parent=True) for x in kin.above]
    if kin.evidence:
        made["evidence"] = list(kin.evidence)
    return made
