"""Front matter for a model card: the parents that the weights show. Printed, never written."""

from __future__ import annotations

import json

from weightkin.records.form import pvalue_words
from weightkin.records.kinds import KINDS
from weightkin.report.parentage import Kin, Parentage


def model_card(parentage: Parentage) -> str:
    """Return YAML: ``base_model`` and ``base_model_relation`` with the evidence as comments."""
    if not parentage.parents:
        return f"# no parent is claimed: {parentage.why}\n"
    seen = [x for x in parentage.parents if x.model.digest]
    hidden = [x for x in parentage.parents if not x.model.digest]
    lines = [f"# to add to the front matter of README.md of {parentage.child.name}"]
    lines += [f"# {_why(x)}" for x in parentage.parents]
    lines.append("# names are those found here: write them as on your hub")
    if hidden:
        lines.append("# a parent that is not registered has no name to write here")
    if not seen:
        return "\n".join(lines) + "\n"
    confirmed = [x.name for x in parentage.declared if x.state == "confirmed"]
    if confirmed and not any(x.is_undeclared for x in parentage.declared):
        return "\n".join([*lines, "# declared already: nothing to add"]) + "\n"
    lines += ["---", "base_model:"]
    lines += [f"- {_quoted(x.model.name)}" for x in seen]
    relation = relation_of(parentage)
    if relation:
        lines.append(f"base_model_relation: {relation}")
    else:
        kinds = ", ".join(sorted({kind for x in seen for kind in x.found.kind}))
        lines.append(f"# a hub's model tree has no relation for {kinds or 'unknown'}")
    return "\n".join([*lines, "---"]) + "\n"


def relation_of(parentage: Parentage) -> str:
    """The relation to all parents at once, "" where none of a hub's words fits.

    A LoRA that is merged into full weights is a finetune there, and an adapter only as such.
    """
    if len(parentage.parents) > 1:
        return "merge"
    found = {KINDS[kind].hub for x in parentage.parents for kind in x.found.kind}
    if "adapter" in found and "+" not in parentage.child.source:
        found = found - {"adapter"} | {"finetune"}
    for word in ("merge", "quantized", "adapter", "finetune"):
        if word in found:
            return word
    return ""


def _why(kin: Kin) -> str:
    found = kin.found
    p = pvalue_words(found.log10_pvalue)
    kinds = " and ".join(found.kind) or "unknown"
    basis = f"{p}, {found.basis}" if found.basis == "exact" else kin.sentence
    return f"{kin.model.name}: {kinds}, {basis}, {kin.sure}"


def _quoted(name: str) -> str:
    """A YAML text: that of JSON is one, and the name holds nothing that needs an escape."""
    return json.dumps(name, ensure_ascii=False)
