"""Claim: experts that stand in one file twice, stacked and one by one, are said to do so."""

import numpy as np
import pytest

from weightkin import compare
from weightkin.formats import model_from_arrays
from weightkin.report.clues import evidence_line

N_EXPERTS, WIDTH, UNITS = 3, 16, 24
EXPERTS = "model.layers.0.mlp.experts"


def arrays(seed):
    rng = np.random.default_rng(seed)
    shapes = {f"model.layers.0.self_attn.{x}_proj.weight": (WIDTH, WIDTH) for x in "qkvo"}
    shapes |= {"model.embed_tokens.weight": (40, WIDTH)}
    shapes |= {"model.layers.0.mlp.gate.weight": (N_EXPERTS, WIDTH)}
    for i in range(N_EXPERTS):
        shapes |= {f"{EXPERTS}.{i}.{x}_proj.weight": (UNITS, WIDTH) for x in ("gate", "up")}
        shapes[f"{EXPERTS}.{i}.down_proj.weight"] = (WIDTH, UNITS)
    return {k: rng.standard_normal(shape).astype(np.float32) for k, shape in shapes.items()}


def stacked(x):
    def all_of(part):
        return np.stack([x[f"{EXPERTS}.{i}.{part}_proj.weight"] for i in range(N_EXPERTS)])

    both = np.concatenate([all_of("gate"), all_of("up")], axis=1)
    return {f"{EXPERTS}.gate_up_proj": both, f"{EXPERTS}.down_proj": all_of("down")}


@pytest.mark.parametrize(("other", "values"), [(0, "equal"), (1, "different")])
def test_experts_that_stand_twice_are_counted(other, values):
    plain = arrays(0)
    twice = model_from_arrays(plain | stacked(arrays(other)), name="twice")
    record = compare(twice, model_from_arrays(plain, name="plain"))
    said = [evidence_line(x) for x in record.direction.evidence]
    assert [x for x in said if x.startswith(f"3 MLPs of a stand twice, with {values} values")]
    assert record.verdict == "dependent"


def test_experts_in_one_layout_stand_once():
    plain = arrays(0)
    record = compare(model_from_arrays(plain), model_from_arrays(stacked(plain) | plain))
    codes = [x.data["model"] for x in record.direction.evidence if x.code == "stored-twice"]
    assert codes == ["b"]
