"""A parentage as a CycloneDX 1.6 bill of materials: pedigree, claims and their evidence.

Parents are ancestors in the pedigree, other kin are variants. Hashes are there only where every
byte was read. Nothing depends on the time or the place it is written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from weightkin.report.parentage import Kin, Named, Parentage, identifier
from weightkin.report.terminal import printable

PREFIX = "weightkin:"
SPDX = {  # names of model cards that are in the SPDX list, as that writes them
    **{x.lower(): x for x in ("Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib")},
    **{x.lower(): x for x in ("MPL-2.0", "EPL-2.0", "CC0-1.0", "Unlicense", "BSL-1.0", "NCSA")},
    **{x.lower(): x for x in ("CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0")},
    **{x.lower(): x for x in ("CC-BY-ND-4.0", "CC-BY-NC-ND-4.0", "OFL-1.1", "AFL-3.0")},
}


def cyclonedx(parentage: Parentage) -> str:
    """Return the JSON text; valid against the schema of CycloneDX 1.6."""
    child = _component(parentage.child, "model")
    pedigree: dict[str, Any] = {}
    if parentage.parents:
        pedigree["ancestors"] = [
            _ancestor(kin, f"ancestor-{i}") for i, kin in enumerate(parentage.parents, 1)
        ]
    if parentage.kin:
        pedigree["variants"] = [
            _related(kin, f"variant-{i}") for i, kin in enumerate(parentage.kin, 1)
        ]
    pedigree["notes"] = _notes(parentage)
    child["pedigree"] = pedigree
    declared = [
        _property("declared", f"{printable(x.name)}: {x.state}")
        if x.is_declared
        else _property("undeclared" if x.is_undeclared else "possible parent", printable(x.name))
        for x in parentage.declared
    ]
    if declared:
        child["properties"] = [*child.get("properties", []), *declared]
    bom: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{identifier(parentage, 'cyclonedx')}",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [
                    {"type": "application", "name": "weightkin", "version": parentage.version}
                ]
            },
            "component": child,
            "properties": [
                _property("alpha", f"{parentage.alpha:g}"),
                _property("seed", str(parentage.seed)),
                _property("method", parentage.method),
            ],
        },
    }
    claims = [*_claims(parentage.parents, "ancestor"), *_claims(parentage.kin, "variant")]
    if claims:
        bom["declarations"] = {
            "claims": [claim for claim, _ in claims],
            "evidence": [evidence for _, evidence in claims],
        }
    return json.dumps(bom, indent=2, allow_nan=False)


def _component(model: Named, ref: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": model.name,
    }
    if model.revision:
        made["version"] = model.revision
        owner, _, name = model.name.partition("/")
        if name:
            path = f"{quote(owner, safe='')}/{quote(name, safe='')}"
            made["purl"] = f"pkg:huggingface/{path}@{quote(model.revision.lower(), safe='')}"
    scheme, _, value = model.full.partition("-")
    if scheme == "wkfull1" and len(value) == 64:
        made["hashes"] = [{"alg": "SHA-256", "content": value}]
    if model.licence:
        known = SPDX.get(model.licence.lower())
        named = {"id": known} if known else {"name": model.licence}
        made["licenses"] = [{"license": {**named, "acknowledgement": "declared"}}]
    properties = [
        _property(name, value)
        for name, value in (
            ("source", model.source if model.revision else ""),  # a path here says nothing there
            ("digest", model.digest),
            ("full-digest", model.full),
        )
        if value
    ]
    if properties:
        made["properties"] = properties
    return made


def _related(kin: Kin, ref: str) -> dict[str, Any]:
    made, found = _component(kin.model, ref), kin.found
    values = [
        ("verdict", found.verdict),
        ("basis", found.basis),
        ("log10-pvalue", f"{found.log10_pvalue:.6g}"),
        ("kind", " ".join(found.kind)),
    ]
    if found.effect is not None:
        values += [
            ("effect-observed", f"{found.effect.observed:.4f}"),
            ("effect-by-chance", f"{found.effect.chance:.4f}"),
        ]
    made["properties"] = [
        *made.get("properties", []),
        *(_property(name, value) for name, value in values if value),
    ]
    return made


def _ancestor(kin: Kin, ref: str) -> dict[str, Any]:
    made = _related(kin, ref)
    values = [
        ("direction-probability", f"{kin.found.probability:.4f}"),
        ("weight", f"{kin.weight:.4f}"),
    ]
    known = (("parent-probability", kin.probability), ("support", kin.support))
    values += [(name, f"{x:.4f}") for name, x in known if x is not None]
    made["properties"] += [_property(name, value) for name, value in values]
    if kin.above:
        above = [_ancestor(x, f"{ref}.{i}") for i, x in enumerate(kin.above, 1)]
        made["pedigree"] = {"ancestors": above}
    return made


def _claims(found: tuple[Kin, ...], word: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What is claimed of each parent or kin, and the evidence that the claim points at."""
    for i, kin in enumerate(found, 1):
        ref = f"{word}-{i}"
        said = f"is related to {kin.model.name}"
        if word == "ancestor":
            said = f"was made from {kin.model.name} (probability: {kin.sure})"
        evidence = {
            "bom-ref": f"evidence-{ref}",
            "propertyName": f"{PREFIX}log10-pvalue",
            "description": kin.sentence,
            "data": [
                {
                    "name": "evidence",
                    "contents": {
                        "attachment": {
                            "contentType": "text/plain",
                            "content": "\n".join((kin.sentence, *kin.evidence)),
                        }
                    },
                }
            ],
        }
        claim = {
            "bom-ref": f"claim-{ref}",
            "target": "model",
            "predicate": said,
            "reasoning": "Null hypothesis: independent initialisations. The p-value and the effect"
            " are those of the evidence; anybody can recompute them from both models.",
            "evidence": [f"evidence-{ref}"],
        }
        yield claim, evidence


def _notes(parentage: Parentage) -> str:
    if parentage.parents:
        return "Ancestors are inferred from the weights; what the model declares is in properties."
    return f"No parent is claimed: {parentage.why}."


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"{PREFIX}{name}", "value": value}
