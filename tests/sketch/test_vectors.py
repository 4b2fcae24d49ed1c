"""Claim: the search vector of a model goes by what its tensors do, not by what they are called."""

import numpy as np
import pytest
from zoo import truth

from tests.lineage.simulated import base, model
from weightkin import open_model, read_sketch, take_sketch, write_sketch
from weightkin.sketch import Scheme
from weightkin.sketch.stand_in import as_model
from weightkin.sketch.vectors import search_vector


@pytest.mark.parametrize("prefix", ["", "module.", "transformer.model.", "base_model.model.model."])
def test_prefixes_of_publishers_make_no_difference(prefix):
    arrays = base(np.random.default_rng(3))
    renamed = {prefix + name.removeprefix("model."): x for name, x in arrays.items()}
    one, other = (search_vector(take_sketch(model("x", x), Scheme())) for x in (arrays, renamed))
    assert float(one @ other) > 0.999
    stranger = take_sketch(model("y", base(np.random.default_rng(4))))
    assert abs(float(one @ search_vector(stranger))) < 0.125


@pytest.mark.parametrize("name", ["vit-a", "gpt-a", "moe-a", "llama-a-int4"])
def test_a_model_that_a_sketch_holds_is_that_model(zoo, name, tmp_path):
    model = open_model(zoo / truth.load()[name]["path"])
    write_sketch(take_sketch(model, Scheme.whole()), tmp_path / "s.sketch.safetensors")
    sketch = read_sketch(tmp_path / "s.sketch.safetensors")
    held = as_model(sketch)
    if held.sketched is not None:
        pytest.skip("experts are held apart")
    assert {k: x.shape for k, x in held.tensors.items()} == {
        k: x.shape for k, x in model.tensors.items()
    }
    again = take_sketch(held, Scheme.whole())
    fresh = take_sketch(model, Scheme.whole())
    assert again.digest == fresh.digest
    assert again.tensors.keys() == fresh.tensors.keys()
    for key, tensor in fresh.tensors.items():
        assert again.tensors[key].stored.tobytes() == tensor.stored.tobytes()
        assert again.tensors[key].digest == tensor.digest
