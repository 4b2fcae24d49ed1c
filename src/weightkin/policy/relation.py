"""The relation to its parents that a model card declares, beside the kind that the weights show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from weightkin.policy.known import Known
from weightkin.policy.named_models import Evidence
from weightkin.policy.naming import is_meant
from weightkin.records import Because, because
from weightkin.records.kinds import KINDS, equal_kinds

# What the weights may show where a card declares a relation. A merged adapter and a merge of models
# may look like any training, and what was tuned may be quantised after it.
FITTING: Mapping[str, frozenset[str]] = {
    "finetune": frozenset({"finetune", "adapter", "merge"}),
    "adapter": frozenset({"adapter"}),
    "quantized": frozenset({"quantized"}),
    "merge": frozenset({"merge", "finetune"}),
}


def other_relations(known: Known) -> Iterator[tuple[Evidence, Because]]:
    """Declared parents of which the weights show another relation than the card declares."""
    relation = known.declared.relation
    if relation not in FITTING:
        return
    compared = [e for e in known.by_name.values() if isinstance(e, Evidence)]
    compared += (known.by_id or {}).values()
    for name in known.declared.parents:
        e = next((e for e in compared if is_meant(name, e.other) and not e.is_own), None)
        if e is None or not e.is_related or e.found.parent == "b":
            continue
        kinds = e.found.kind
        shown = {KINDS[kind].hub for kind in kinds} - {""}
        if equal_kinds(kinds) or (shown and not shown & FITTING[relation]):
            yield e, because("other-relation", name=name, relation=relation, kinds=list(kinds))
