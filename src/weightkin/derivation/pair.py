"""Two models compared in full: stages, verdict, what is equal, kind and direction, one record."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from weightkin._version import __version__
from weightkin.derivation.accounting import accounting_of
from weightkin.derivation.blocks import blocks_of_pair
from weightkin.derivation.components import components_of_pair
from weightkin.derivation.conclusion import Conclusion, conclude, stages_of
from weightkin.derivation.derived import derive, embedding_alone
from weightkin.derivation.disguise import Disguise, find_disguise, without_bases
from weightkin.derivation.disguise_maps import write_maps
from weightkin.derivation.elsewhere import derive_elsewhere
from weightkin.derivation.equal import Shared, equal_of_sample, shared_values
from weightkin.derivation.kinds import Derivation
from weightkin.derivation.merge_traces import averaged_positions
from weightkin.derivation.opened import Pair
from weightkin.derivation.stored_twice import stored_twice
from weightkin.derivation.view_agreement import view_agreement
from weightkin.evidence import untested, verdict
from weightkin.evidence.extent import extent_of
from weightkin.evidence.ladder import (
    CLEAR_CUT,
    CONFIRMED,
    COPY_COSINE,
    EFFECT_CUT,
    LADDER,
    StagesRun,
    passes,
    total_log10,
)
from weightkin.evidence.sample import is_part, n_shared_rows
from weightkin.evidence.signpairs import UNITS_OF_A
from weightkin.evidence.spectral import spectral_log_evalue
from weightkin.evidence.spread import rehearse
from weightkin.evidence.stacks import OtherStacks
from weightkin.formats import Model, digest, full_digest
from weightkin.formats.dry_run import read_ahead
from weightkin.records import (
    BlockRelation,
    Comparison,
    Direction,
    ModelRef,
    Part,
    Skipped,
    left_out,
)
from weightkin.records.accounting import Extent
from weightkin.records.differing import BlockDifference
from weightkin.records.evidence import Verdict
from weightkin.sketch.stand_in import n_parameters


def compare_pair(pair: Pair) -> Comparison:
    """Run the stages on two models and write their record. Null hypothesis: see `api.compare`."""
    started = time.perf_counter()
    for model in pair.models if not pair.is_quick else ():
        read_ahead(model, digest)
    a, b = (model_ref(model, full=pair.settings.full_digest) for model in pair.models)
    refs = a, b
    pair, challenge = pair.drawn(refs)
    if not pair.is_quick:
        _read_ahead(pair)
    shared = shared_values(pair.models, refs, quick=pair.is_quick)
    ran, other = stages_of(pair, shared)
    concluded = conclude(pair, refs, ran, other, shared)
    is_elsewhere = other.best is not None and not shared.is_proof
    undone, skipped = _undo(pair, ran, other, concluded, shared)
    views, unseen = view_agreement(*pair.models)
    skipped = concluded.skipped + unseen + skipped
    derived: Derivation | None = None
    if concluded.verdict == "dependent" and not pair.is_quick:
        if concluded.embeddings:
            derived = embedding_alone(concluded.embeddings)
        elif is_elsewhere and other.best is not None:
            derived = derive_elsewhere(pair, other.best.names, undone, shared)
        else:
            frugal = bool(pair.settings.frugal)
            derived, unsaid = derive(pair.models, undone, shared, frugal=frugal)
            skipped += unsaid
    law = _law(pair, concluded, shared)
    kind, details = _identity(shared, *refs)
    if other.best is not None:
        details |= {"stacks": dict(zip("ab", other.best.names, strict=True))}
        if is_elsewhere and derived is None:
            skipped += (untested.other_stacks(other.best.names),)
    if derived is not None and not shared.is_all:
        kind, details = derived.kind, details | derived.details
    alpha = pair.settings.alpha
    layers = verdict.layers(ran, pair.b, other)
    is_related = concluded.verdict == "dependent"
    return Comparison(
        a=refs[0],
        b=refs[1],
        verdict=concluded.verdict,
        basis=concluded.basis,
        log10_pvalue=total_log10(ran.stages),
        alpha=alpha,
        axes=concluded.axes,
        tests=tuple(test for s in ran.stages for test in s.tests) + concluded.ranked.tests,
        skipped=skipped,
        kind=kind if derived else kind + undone.kinds,
        kind_details=details | undone.details,
        direction=_with_traces(derived.direction, pair) if derived else Direction(),
        layers=layers,
        parts=concluded.parts + (_equal_parts(kind, details) if concluded.basis == "equal" else ()),
        calibration=concluded.ranked.calibration,
        equal=equal_of_sample(shared, derived.equality if derived else None),
        smallest_log10_pvalue=concluded.reach.log10_pvalue,
        tested_share=round(concluded.reach.share, 4),
        bytes_read=sum(model.bytes_read for model in pair.models),
        seconds=round(time.perf_counter() - started, 3),
        method=f"weightkin-ladder/1 units={pair.plan.n_units}{' quick' if pair.is_quick else ''}",
        parameters=_parameters(pair, ran),
        seed=pair.settings.seed,
        version=__version__,
        incomplete=not shared.is_read or other.is_capped,
        challenge=challenge if _is_part(pair, ran, other, concluded) else None,
        extent=_extent(pair, ran) if is_related else None,
        accounting=accounting_of(pair.models, shared, concluded.tested),
        token_views=views,
        components=components_of_pair(shared.common) if is_related else (),
        blocks=_blocks(pair, shared, layers) if is_related else (),
        law_log10_evalue=law,
        law_null=None if law is None else "gap-order-exchangeable",
    )


def _blocks(
    pair: Pair, shared: Shared, layers: tuple[BlockRelation, ...]
) -> tuple[BlockDifference, ...]:
    """How the two differ, block by block."""
    a, b = map(n_parameters, pair.models)
    return blocks_of_pair(shared.common, (a, b), layers)


def _extent(pair: Pair, ran: StagesRun) -> Extent | None:
    """Share of hidden units that match, where the aligned tests found that they do."""
    alpha = pair.settings.alpha
    found = next((s for s in ran.stages if s.name == "units" and passes(s, alpha)), None)
    is_asked = not (pair.is_quick or pair.settings.frugal)
    if found is None or not is_asked or pair.draws is None:
        return None
    return extent_of(pair.draw_of(pair.a, pair.b), found)


def _is_part(pair: Pair, ran: StagesRun, other: OtherStacks, concluded: Conclusion) -> bool:
    """Whether what was read depends on the draw: somewhere the sample is less than all there is."""
    sides = (pair.a.model, pair.a.anatomy), (pair.b.model, pair.b.anatomy)
    if concluded.ranked.are_tokens_drawn or is_part(*sides, pair.plan):
        return True
    every = [ran, *(pairing.ran for pairing in other.tested)]
    is_of_signs = any(m.a.n_units > UNITS_OF_A for x in every for m in x.matches)
    return is_of_signs or any(x.are_tokens_drawn for x in every)


def _law(pair: Pair, concluded: Conclusion, shared: Shared) -> float | None:
    """What spectra say, where no test applies or everything is asked for."""
    how = pair.settings
    is_wanted = how.effort == "thorough" or concluded.verdict == "not-testable"
    if pair.is_quick or pair.missed or how.frugal or not is_wanted:
        return None
    made_a, made_b = (
        [x.stored_name for x in sketch.tensors.values() if x.is_table]
        for sketch in shared.common.sketches
    )
    found = spectral_log_evalue(pair.a, pair.b, (made_a, made_b))
    return None if found is None else round(found / math.log(10.0), 4)


def _read_ahead(pair: Pair) -> None:
    """Ask servers at once for what aligned tests read."""
    a, b = pair.a, pair.b
    n_rows = n_shared_rows((a.model, a.anatomy), (b.model, b.anatomy))
    plan = pair.draw_of(a, b).plan
    for side in (a, b):
        sample = partial(rehearse, anatomy=side.anatomy, plan=plan, n_vocabulary=n_rows)
        read_ahead(side.model, sample)


def model_ref(model: Model, *, full: bool = False) -> ModelRef:
    """Source and digests of a model, as they stand in records."""
    full = full and (model.sketched is None or model.sketched.full_digest is not None)
    return ModelRef(
        source=model.source,
        digest=digest(model),
        revision=model.revision or "",
        full_digest=full_digest(model) if full else None,
    )


def _undo(
    pair: Pair, ran: StagesRun, other: OtherStacks, concluded: Conclusion, shared: Shared
) -> tuple[Disguise, tuple[Skipped, ...]]:
    """What one model was disguised by; its maps are written where they were asked for.

    Of stacks under other names no maps are written: those name the tensors of whole models.
    """
    best = other.best
    path = pair.settings.recover if best is None else None
    undone = Disguise((), {}, {})
    a, b = best.sides if best else (pair.a, pair.b)
    is_known = pair.missed or (best and shared.is_proof)
    if not is_known and (not pair.is_quick or path is not None):
        undone = find_disguise(
            pair.draw_of(a, b),
            best.ran if best else ran,
            pair.settings.alpha,
            with_maps=path is not None,
            is_settled=concluded.basis == "calibrated",
            with_bases=not pair.settings.frugal,
        )
    if shared.equal.share == 1.0:
        undone = without_bases(undone)
    if path is not None and undone.maps:
        write_maps(path, undone.maps, undone.kinds)
    elif pair.settings.recover is not None:
        return undone, (left_out(str(pair.settings.recover), "nothing-undone"),)
    return undone, ()


def _with_traces(direction: Direction, pair: Pair) -> Direction:
    """The direction, with what either model shows in itself of how it was made."""
    found = [x for side, name in zip((pair.a, pair.b), "ab", strict=True)
             for x in (*averaged_positions(side.model, name),
                       *stored_twice(side.model, side.anatomy, name))]  # fmt: skip
    return replace(direction, evidence=(*direction.evidence, *found))


def _identity(shared: Shared, a: ModelRef, b: ModelRef) -> tuple[tuple[str, ...], dict[str, Any]]:
    """What equal digests say before anything else was looked at."""
    if shared.is_all:
        return ("identical",), {"identical": "files" if shared.is_same_file else "digest"}
    if a.digest == b.digest and shared.found.is_whole:
        return (), {"identical": "sample"}
    return (), {}


def _equal_parts(kind: Sequence[str], details: Mapping[str, Any]) -> tuple[Part, ...]:
    """Networks of which the values alone say that they are shared, and those beside them."""
    if "shared-part" not in kind:
        return ()
    said: dict[Verdict, list[str]] = {
        "dependent": details["parts"],
        "not-testable": details["others"],
    }
    return tuple(
        Part(name=name, verdict=found, log10_pvalue=0.0)
        for found, names in said.items()
        for name in names
    )


def _parameters(pair: Pair, ran: StagesRun) -> dict[str, Any]:
    """All that a rerun needs."""
    how = pair.settings
    return (
        {
            "effort": how.effort,
            "with_full_digest": how.full_digest,
            "n_units": pair.plan.n_units,
            "effect_cuts": [EFFECT_CUT, CLEAR_CUT, CONFIRMED, COPY_COSINE],
            "ladder": dict(LADDER),
            "controls": str(how.controls or ""),
        }
        | ({"frugal": True} if how.frugal else {})
        | ({"views": ran.rows} if ran.rows else {})
    )
