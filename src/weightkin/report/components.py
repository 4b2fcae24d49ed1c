"""Components of diffusion models in words."""

from __future__ import annotations

from collections.abc import Sequence

from weightkin.records.components import ComponentRelation, ModelComponent
from weightkin.records.family import FamilyNode
from weightkin.report.line import fact
from weightkin.text import shown

STATES = ("changed", "rounded", "equal", "unrelated")
STATE_WORDS = {
    "equal": "equal",
    "rounded": "equal after rounding",
    "changed": "fine-tuned",
    "unrelated": "not shared",
    "alone": "only in one model",
}
COMPONENT_WORDS = {"unet": "U-Net", "vae": "VAE"}
LIBRARY_WORDS = "of another publisher, read as those of {}"


def components_words(components: Sequence[ComponentRelation]) -> str:
    """Which components are shared, for a headline; nothing where there is nothing to tell apart."""
    states: dict[str, list[str]] = {}
    for x in components:
        if x.state != "alone":
            states.setdefault(x.state, []).append(component_name(x))
    if len(components) < 2 or not states:
        return ""
    said = [
        f"{', '.join(states[state])} {STATE_WORDS[state]}" for state in STATES if state in states
    ]
    return f"; {'; '.join(said)}"


def component_name(x: ComponentRelation) -> str:
    """A component as people call it; with the name in the other model where that is another."""
    both = list(dict.fromkeys(_called(n) for n in (x.a, x.b) if n))
    return " / ".join(both) or "model"


def component_lines(components: Sequence[ComponentRelation]) -> list[str]:
    """One line for each component of a pair of models."""
    lines = []
    for x in components:
        far = f" (median distance {x.distance:.3g})" if x.state == "changed" else ""
        where = (
            f" of {'a' if x.a else 'b'}" if x.state == "alone" and bool(x.a) != bool(x.b) else ""
        )
        lines.append(f"  component {component_name(x)}{where}: {STATE_WORDS[x.state]}{far}")
    return lines


def model_components(components: Sequence[ModelComponent]) -> list[str]:
    """One line for each component of a model, or about the names of one that is not in parts."""
    if len(components) == 1 and components[0].names_of and not components[0].stored_as:
        return [fact("names", LIBRARY_WORDS.format(shown(components[0].names_of)))]
    return [
        fact(
            "part",
            f"{_called(x.name)}: {x.n_tensors} tensors, {x.n_parameters:,} values, stored as"
            f" {shown(x.stored_as)}*"
            + (f" (names {LIBRARY_WORDS.format(shown(x.names_of))})" if x.names_of else ""),
        )
        for x in components
    ]


def shared_components(nodes: Sequence[FamilyNode]) -> list[str]:
    """Which components are equal in several models of a family, and which of the others are not.

    Parameters
    ----------
    nodes : sequence of FamilyNode
        Models, with their components.

    Returns
    -------
    list of str
        A line for each component that several have, whatever they call it, and for each model with
        another one.
    """
    holders: dict[str, list[tuple[str, str]]] = {}
    for node in nodes:
        for x in node.components:
            holders.setdefault(x.digest, []).append((node.id, x.name))
    lines, known = list[str](), dict[str, set[str]]()
    for those in holders.values():
        names = [name for _, name in those if name]
        if len({id_ for id_, _ in those}) > 1 and names:
            whole = [f"{shown(id_)}{'' if name else ' (all of it)'}" for id_, name in those]
            lines.append(f"{_called(names[0])} equal in {', '.join(dict.fromkeys(whole))}")
            known.setdefault(names[0], set()).update(id_ for id_, _ in those)
    for node in nodes:
        for x in node.components:
            if x.name in known and node.id not in known[x.name]:
                lines.append(f"{_called(x.name)} of {shown(node.id)}: another one")
    return lines


def _called(name: str) -> str:
    return shown(COMPONENT_WORDS.get(name, name.replace("_", " ")))
