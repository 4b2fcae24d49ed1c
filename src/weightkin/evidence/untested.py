"""What no test reached, with its reason."""

from __future__ import annotations

from weightkin.anatomy.side import Side
from weightkin.evidence.ladder import StagesRun
from weightkin.evidence.stacks import Names, OtherStacks
from weightkin.evidence.verdict import has_units
from weightkin.records import Skipped, left_out


def skipped(a: Side, b: Side, ran: StagesRun, other: OtherStacks) -> tuple[Skipped, ...]:
    """Everything that was not tested, with its reason.

    Parameters
    ----------
    a, b : Side
        The two models.
    ran : StagesRun
        What the ladder tested.
    other : OtherStacks
        What was tested of stacks under other names.

    Returns
    -------
    tuple of Skipped
        Each once.
    """
    found = [*_no_stack_shared(a, b, ran, other), *not_read(a, "a"), *not_read(b, "b")]
    for stage in ran.stages:
        found += stage.skipped
    found += _unpaired(a, b, other)
    return tuple(dict.fromkeys([*found, *ran.skipped]))


def _no_stack_shared(a: Side, b: Side, ran: StagesRun, other: OtherStacks) -> list[Skipped]:
    """Why nothing of two models could be tested that were read."""
    of_a, of_b = ({axis.stack for axis in side.anatomy.axes} for side in (a, b))
    is_apart = of_a and of_b and not of_a & of_b and not other.names and not has_units(ran)
    return [left_out("all blocks", "no-shared-stack")] if is_apart else []


def not_read(side: Side, name: str = "") -> list[Skipped]:
    """What of one model could not be read, and which of its tensors no axis is known of."""
    head = f"{name}: " if name else ""
    problems = (*side.model.problems, *side.anatomy.skipped)
    return [left_out(f"{head}{p.what}", p.code, error=p.why) for p in problems]


def other_stacks(names: Names) -> Skipped:
    """Why two models of which only stacks under different names are related have no kind."""
    a, b = names
    return left_out("kind and direction", "only-other-stacks", stack_a=a, stack_b=b)


def _unpaired(a: Side, b: Side, other: OtherStacks) -> list[Skipped]:
    """Kinds of axes that one model has and the other lacks, and shapes that differ.

    A stack that was compared with one under another name is not left out.
    """
    found = []
    kinds_a, kinds_b = ({axis.kind for axis in side.anatomy.axes} for side in (a, b))
    for kind in sorted(kinds_a ^ kinds_b):
        lacks = "b" if kind in kinds_a else "a"
        found.append(left_out(f"{kind} axes", "no-such-axis", kind=kind, model=lacks))
    stacks_a, stacks_b = dict(a.anatomy.stacks), dict(b.anatomy.stacks)
    compared = {name for names in other.names for name in names}
    for stack in sorted((stacks_a.keys() ^ stacks_b.keys()) - compared):
        lacks = "b" if stack in stacks_a else "a"
        found.append(left_out(f"stack {stack}", "no-such-stack", stack=stack, model=lacks))
    for stack in sorted(stacks_a.keys() & stacks_b.keys()):
        extra = stacks_a[stack] - stacks_b[stack]
        if extra:
            what, n_a, n_b = f"{abs(extra)} blocks of {stack}", stacks_a[stack], stacks_b[stack]
            found.append(left_out(what, "depths-differ", n_a=n_a, n_b=n_b))
    return found
