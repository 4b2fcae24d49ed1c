"""Records of every verb, written by hand, with any text wherever a record holds text."""

from __future__ import annotations

from dataclasses import replace

from tests import families
from weightkin.records import (
    AxisEvidence,
    BlockRelation,
    Calibration,
    Comparison,
    Direction,
    Effect,
    ModelRef,
    Part,
    Test,
    clue,
    unread,
)
from weightkin.records.checking import Against, Ancestor, Check, Checked, Finding
from weightkin.records.comparison import Summary
from weightkin.records.location import (
    Location,
    Matrix,
    ResidualMap,
    Scale,
    TensorRelation,
    UnitMap,
)
from weightkin.records.registry import DeclaredParent, Registered, Relative, Search, Step, Trace

EFFECT = Effect(observed=0.97, chance=0.37, ratio=2.6, agreement=1.0)


def comparison(text="block.0", **more):
    """A dependent pair with one of everything."""
    ends = {"block_a": text, "block_b": text}
    test = Test(name="coincidences", axis="mlp", trusts="either", n_units=256, statistic=256.0,
                log10_pvalue=-504.6, null="bound", effect=EFFECT, view=text, **ends)  # fmt: skip
    calibration = Calibration(model_class=text, statistic=0.2, wrong_depth=0.01, n_controls=20,
                              calibrated_pvalue=1 / 21, margin=3.0, largest_control=0.02,
                              median_control=0.01, controls="wkc1-0", is_above=True)  # fmt: skip
    axis = AxisEvidence(axis="units", weight=0.5, log10_pvalue=-504.3, n_blocks=1, trusts="a",
                        passes=True, effect=EFFECT)  # fmt: skip
    fields = {
        "a": ModelRef(source=text, digest="wk1-a", revision=text),
        "b": ModelRef(source="b", digest="wk1-b", full_digest="wkf1-b"),
        "verdict": "dependent",
        "basis": "exact",
        "log10_pvalue": -504.3,
        "alpha": 1e-6,
        "axes": (axis,),
        "tests": (test,),
        "skipped": (unread(text, text),),
        "kind": ("quantised",),
        "kind_details": {"bits": 4, "roles": [text]},
        "direction": Direction(parent="a", probability=0.99, evidence=(clue("text", text=text),)),
        "layers": (BlockRelation(relation="moved", log10_pvalue=-9.0, effect=EFFECT, **ends),),
        "parts": (Part(name=text, verdict="dependent", log10_pvalue=-504.0),),
        "calibration": calibration,
        "bytes_read": 1000,
        "seconds": 0.5,
        "method": "weightkin-ladder/1",
        "parameters": {"quick": True},
        "seed": 0,
        "version": "0.1.0",
    }
    return Comparison(**{**fields, **more})


def location(text="block.0", n=2):
    """A block map of n by n, with one of everything else."""
    blocks = tuple(f"{text}.{i}" for i in range(n))
    cells = tuple(tuple(-50.0 if i == j else 0.0 for j in range(n)) for i in range(n))
    shared = {"trusts": "either", "n_tested": n * n}
    matrix = Matrix(stack=text, axis="units", blocks_a=blocks, blocks_b=blocks,
                    log10_pvalues=cells, **shared)  # fmt: skip
    units = UnitMap(axis="units", name_a="mlp", name_b=text, block_a=blocks[0], block_b=blocks[0],
                    n_units_a=2, n_units_b=2, n_looked_a=2, n_looked_b=2, units_a=(0, 1),
                    units_b=(1, 0), share_kept=1.0, in_order=False, n_flipped=1,
                    scale={"mlp.up": Scale(median=1.0, spread=0.1)}, effect=EFFECT)  # fmt: skip
    residual = ResidualMap(stack=text, test="order", n_a=4, n_b=2, log10_pvalue=-9.0,
                           kept_a=(0, 2), kept_b=(0, 1), in_order=True, effect=None,
                           **shared)  # fmt: skip
    tensor = TensorRelation(name_a=text, name_b=text, shape_a=(2, 2), shape_b=(2, 2),
                            equal_share=0.5, cosine=0.9, relation="close")  # fmt: skip
    layer = BlockRelation(block_a=blocks[0], block_b=blocks[0], relation="kept",
                          log10_pvalue=-50.0, effect=EFFECT)  # fmt: skip
    return Location(
        a=ModelRef(source=text, digest="wk1-a"), b=ModelRef(source="b", digest="wk1-b"),
        alpha=1e-6, n_hypotheses=9, matrices=(matrix,), layers=(layer,), descriptive=(),
        monotone_map=(), is_monotone=True, unit_maps=(units,), residual=(residual,),
        tensors=(tensor,), n_tensors_a=1, n_tensors_b=1, skipped=(unread(text, text),),
        bytes_read=1, seconds=0.1, method="weightkin-locate/1", parameters={}, seed=0, version="0",
    )  # fmt: skip


def search(text="child"):
    """A model with one relative, one other, and a path of one step."""
    model = Registered(id=1, name=text, source=text, revision="", digest="wk1-a", full_digest="",
                       added="2026-11-22T10:00:00+00:00")  # fmt: skip
    summary = Summary(verdict="dependent", basis="exact", log10_pvalue=-100.0, kind=("fine-tuned",),
                      looked_at="sketch")  # fmt: skip
    found = Relative(model=model, summary=summary, cosine=0.9, invariant_cosine=0.9)
    step = Step(parent="base", child=text, parent_id=1, kind="fine-tuned", log10_pvalue=-100.0,
                direction="determined", direction_probability=0.97, support=1.0,
                evidence=(clue("text", text=text), clue("mixture-not-exact")))  # fmt: skip
    return Search(name=text, source=text, digest="wk1-c", n_scanned=2, n_compared=2, alpha=1e-6,
                  paid_alpha=5e-7, relatives=(found,), others=(found,), parents=(step,),
                  path=(step,), first_registered=text, version="0.1.0")  # fmt: skip


def trace(text="child"):
    """The same with a declared parent that is not there."""
    said = DeclaredParent(name=f"declared {text}", state="unverifiable", code="text",
                          data={"text": text})  # fmt: skip
    return Trace(search=search(text), declared=(said,), licence=text)


def family(text="child"):
    """A base and its child of that name."""
    return families.named(text)


def check(text="child"):
    """Models with a hit, something unverifiable and something skipped."""
    summary = Summary(verdict="no-evidence", basis="exact", log10_pvalue=0.0)
    named = Against(name=text, summary=summary, tested=0.4, log10_reach=-9.0,
                    limits=(unread(text, text),))  # fmt: skip
    hit = Finding(rule="forbidden-ancestor", level="error", state="hit", code="text",
                  data={"text": text}, fingerprint="0" * 32, summary=summary,
                  ancestor=Ancestor(name=text))  # fmt: skip
    unread_one = replace(hit, rule="unverifiable", state="unverifiable")
    model = Checked(name=text, source=text, revision=text, digest="wk1-a", card=text, licence=text,
                    declared_parents=(text,), n_compared=1, against=(named,),
                    findings=(hit, unread_one), skipped=(unread(text, text),))  # fmt: skip
    rules = {"forbidden-ancestor": "error"}
    return Check(models=(model, Checked(name=text, source=text)), rules=rules, policy=text,
                 registry=text, n_registered=3, alpha=1e-6, version="0.1.0")  # fmt: skip


ALL = (comparison, location, family, search, trace, check)
