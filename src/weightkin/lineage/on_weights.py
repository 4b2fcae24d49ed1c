"""What sketches show is looked at again in the weights, on rows that nobody could know.

Everybody knows which rows and columns a sketch keeps, and fewer rows than the stream is wide can be
given any values there by a rotation that changes no output. So two models that sketches show to be
related must show it on units drawn by fresh bytes too, where their weights are at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from weightkin.anatomy.side import Side
from weightkin.derivation.derived import is_far
from weightkin.derivation.opened import Settings, pair_of
from weightkin.derivation.pair import model_ref
from weightkin.evidence.confirm import Draw
from weightkin.evidence.ladder import StagesRun, is_settled, run_quick, run_stages, total_log10
from weightkin.evidence.plan import Plan
from weightkin.evidence.sample import n_sampled
from weightkin.evidence.stacks import with_other_stacks
from weightkin.formats import Model
from weightkin.lineage.candidates import Member
from weightkin.records import Skipped, left_out
from weightkin.sketch.stand_in import as_model, sketch_behind

AtHand = Callable[[int], Model | Skipped]  # the weights of a model, or why there are none
Elsewhere = Callable[[str], Model | Skipped]  # by the id of a member


def at_hand(members: Sequence[Member], elsewhere: Elsewhere | None = None) -> AtHand:
    """Where the weights of members are.

    Parameters
    ----------
    members : sequence of Member
        All models.
    elsewhere : callable, optional
        Given the id of a member of which there is only a sketch.

    Returns
    -------
    callable
        Given a position. What lies on a hub is left there.
    """

    def weights(i: int) -> Model | Skipped:
        member = members[i]
        model = member.model or as_model(member.sketch)
        if model.sketched is not None:
            only = left_out(member.id, "only-sketch")
            return only if elsewhere is None else elsewhere(member.id)
        return left_out(member.id, "left-on-hub") if is_far((model, model)) else model

    return weights


def is_known(a: Side, b: Side, plan: Plan) -> bool:
    """Whether tests of a pair read less than there is, of rows that anybody may know."""
    held = [sketch_behind(side.model) for side in (a, b)]
    if any(sketch is not None and not sketch.scheme.is_whole for sketch in held):
        return True
    axes = (axis for side in (a, b) for axis in side.anatomy.axes if axis.kind != "residual")
    return any(axis.n_units > n_sampled(axis, plan) for axis in axes)


def on_fresh_rows(a: Model, b: Model, alpha: float) -> tuple[float, bool]:
    """Log10 p-value of two models on units drawn now, and whether they count as related.

    Null hypothesis: that of `compare`; aligned tests only. The quick ones are run, and all others
    where those show less; both share the level.
    """
    pair = pair_of(a, b, Settings(alpha=alpha / 2))
    pair = pair.drawn((model_ref(a), model_ref(b)))[0]
    ran = run_quick(pair.draw_of(pair.a, pair.b), alpha / 2)
    if not is_settled(ran.stages, alpha / 2):
        ran = climb(pair.draw_of, pair.a, pair.b, alpha / 2)
    return total_log10(ran.stages), is_settled(ran.stages, alpha / 2)


def climb(draw_of: Callable[[Side, Side], Draw], a: Side, b: Side, alpha: float) -> StagesRun:
    """All aligned stages, between stacks under other names too where nothing else settles it."""

    def run(a: Side, b: Side, *, with_blind: bool) -> StagesRun:  # noqa: ARG001 (as any ladder)
        return run_stages(draw_of(a, b), alpha, blind="never")

    return with_other_stacks(a, b, run(a, b, with_blind=False), run, alpha)[0]


def with_sides(draw: Draw) -> Callable[[Side, Side], Draw]:
    """The same draw for other parts of both models: nothing is drawn from sketches."""
    return lambda a, b: replace(draw, a=a, b=b)
