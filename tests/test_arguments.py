"""Claim: every public verb refuses, in one line, an argument that it cannot have."""

from pathlib import Path

import numpy as np
import pytest

import weightkin
from tests import models
from weightkin import Execution, Options, Policy, Registry
from weightkin.api.controls import add_control
from weightkin.api.estimate import estimate_sketches
from weightkin.api.sketch import sketch_files
from weightkin.errors import UsageError

A = {"w": np.ones((4, 4), np.float32)}
ALPHAS = (0, 1, 2.0, -1e-6, float("nan"), float("inf"), "1e-6", None, True)
SEEDS = (-1, 0.5, "0", None, True, 1 << 63)
WORKERS = (0, -2, 1.5, "2", None, True, 10**9)
NO_MODELS = (3, None, b"x", {}, {1: np.ones(3)}, {"w": 3}, {"w": [1.0]}, {"w": np.array(["a"])})
NO_LISTS = ((), "name", A, 3, None)
NO_PATHS = ("", "a\0b", 3, None, b"x")
HERE = Registry("registry.sqlite")


def each(verb, name, values, *given, **more):
    """A case for each wrong value of one argument of a verb."""
    return [pytest.param(verb, given, {**more, name: x}, id=f"{_called(verb)}-{name}-{k}")
            for k, x in enumerate(values)]  # fmt: skip


def first(verb, values, *rest, **more):
    """A case for each wrong value of the first argument of a verb."""
    return [pytest.param(verb, (x, *rest), more, id=f"{_called(verb)}-{k}")
            for k, x in enumerate(values)]  # fmt: skip


def _called(verb):
    return getattr(verb, "__qualname__", str(verb))


def execution(**options):
    return weightkin.family_graph([A], execution=Execution(**options))


def options(**options):
    return weightkin.compare(A, A, options=Options(**options))


CASES = [
    *first(weightkin.compare, NO_MODELS, A),
    *[pytest.param(weightkin.compare, (A, x), {}) for x in NO_MODELS],
    *each(weightkin.compare, "alpha", ALPHAS, A, A),
    *each(weightkin.compare, "seed", [x for x in SEEDS if x is not None], A, A),
    *each(weightkin.compare, "effort", ("", "fast", None, 3), A, A),
    *each(weightkin.compare, "options", ({}, 3, "quick"), A, A),
    *each(options, "published", (-1, 10_001, 2.5, None, True)),
    *each(options, "full_digest", (1, "yes", None)),
    *each(options, "frugal", (1, "yes")),
    *each(options, "challenge", ("", "mine", "beacon:zz", 3, None)),
    *each(options, "relatives", ("name", 3, [3], [None])),
    *each(options, "recover", (3, "a\0b")),
    *each(options, "controls", (3, "a\0b")),
    *first(weightkin.locate, NO_MODELS, A),
    *each(weightkin.locate, "alpha", ALPHAS, A, A),
    *each(weightkin.locate, "seed", SEEDS, A, A),
    *first(weightkin.verify, (None, {}, "record.json", 3)),
    *first(weightkin.family_graph, NO_LISTS),
    *first(weightkin.family_graph, [[x] for x in NO_MODELS]),
    *each(weightkin.family_graph, "alpha", ALPHAS, [A]),
    *each(weightkin.family_graph, "seed", SEEDS, [A]),
    *each(weightkin.family_graph, "method", ("", "father", None, 3), [A]),
    *each(weightkin.family_graph, "cache", NO_PATHS[:3], [A]),
    *each(weightkin.family_graph, "execution", (2, None, {}), [A]),
    *each(execution, "workers", WORKERS),
    *each(execution, "cluster", (3, b"x")),
    *each(execution, "progress", (3, "print")),
    pytest.param(execution, (), {"workers": 2, "cluster": "tcp://127.0.0.1:1"}),
    *first(weightkin.take_sketch, NO_MODELS),
    *each(weightkin.take_sketch, "scheme", (3, "ws1"), A),
    *each(weightkin.take_sketch, "with_full_digest", (1, None), A),
    *first(weightkin.read_sketch, NO_PATHS),
    *first(weightkin.write_sketch, (A, None, "a"), "x"),
    *first(sketch_files, ("name", 3, [3]), Path("folder")),
    *first(weightkin.open_model, NO_MODELS),
    *first(weightkin.digest, NO_MODELS),
    *first(weightkin.full_digest, NO_MODELS),
    *first(weightkin.read_anatomy, NO_MODELS),
    *first(weightkin.estimate, NO_MODELS),
    *first(estimate_sketches, ("name", 3, [3])),
    *first(add_control, NO_MODELS, A),
    *first(Registry, NO_PATHS[:3]),
    *each(Registry, "store", (3, b"x")),
    *first(HERE.add, ((), "name", 3, [3])),
    *each(HERE.add, "resume", (1, None), []),
    *each(HERE.add, "execution", (2, None, Execution(workers=0)), ["x"]),
    *first(HERE.search, NO_MODELS),
    *each(HERE.search, "alpha", ALPHAS, "x"),
    *each(HERE.search, "seed", SEEDS, "x"),
    *each(HERE.search, "most", (0, -1, 2.5, None, True), "x"),
    *first(HERE.trace, NO_MODELS),
    *each(HERE.trace, "alpha", ALPHAS, "x"),
    *each(HERE.trace, "seed", SEEDS, "x"),
    *each(HERE.trace, "also", ("x", 3, [-1], ["x"]), "x"),
    *each(HERE.trace, "fresh", (1, None), "x"),
    *each(HERE.family, "alpha", ALPHAS),
    *each(HERE.family, "seed", SEEDS),
    *first(HERE.remove, (3, None, b"x")),
    *first(HERE.export, NO_PATHS),
    *first(HERE.import_, NO_PATHS),
    *first(weightkin.check, [x for x in NO_MODELS if x != {}], Policy(expected_parents=("x",))),
    *first(weightkin.check, ([], [3])),
    *each(weightkin.check, "policy", (3, b"x", "a\0b"), A),
    *each(weightkin.check, "registry", (3, b"x", "a\0b"), A),
    *each(weightkin.check, "expect", ("x", 3, [3]), A),
    *each(weightkin.check, "deny", ("x", 3, [3]), A),
    *each(weightkin.check, "seed", SEEDS, A),
    *first(weightkin.read_policy, NO_PATHS),
    *first(weightkin.serve, NO_PATHS),
    *each(weightkin.serve, "port", (-1, 65536, "80", None), "x"),
    *each(weightkin.serve, "host", (3, None), "x"),
    *each(weightkin.serve, "names", ("x", 3), "x"),
    *each(weightkin.serve, "workers", WORKERS, "x"),
]
VALUES = {"Adding", "Anatomy", "Check", "Comparison", "Descendants", "Estimate", "Execution",
          "FamilyGraph", "Listing", "Location", "Model", "Options", "Policy", "Search", "Sketch",
          "Trace", "UsageError", "WeightkinError", "notebook_html", "one_line"}  # fmt: skip


@pytest.mark.parametrize(("verb", "given", "more"), CASES)
def test_a_wrong_argument_is_one_clear_line(verb, given, more, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refused:
        verb(*given, **more)
    said = str(refused.value)
    assert "\n" not in said
    assert len(said) < 250
    assert list(tmp_path.iterdir()) == []


def test_every_public_verb_is_in_the_table():
    verbs = {_called(case.values[0]).split(".")[0] for case in CASES}
    assert set(weightkin.__all__) - VALUES <= verbs


def test_public_names_are_seen_and_nothing_else():
    assert [x for x in dir(weightkin) if not x.startswith("_")] == sorted(weightkin.__all__)
    for name in weightkin.__all__:
        assert getattr(weightkin, name) is getattr(weightkin, name)


def test_no_public_name_is_a_room_as_well():
    """Importing a room would put it in the place of the verb."""
    rooms = {x.stem for x in Path(weightkin.__file__).parent.iterdir()}
    assert not rooms & set(weightkin.__all__)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float8_e4m3fn", "int8"])
def test_a_state_dict_is_a_model_of_the_same_digest(tmp_path, rng, dtype):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    state = {name: torch.from_numpy(x).to(getattr(torch, dtype))
             for name, x in models.base(rng).items()}  # fmt: skip
    save_file({k: x.contiguous() for k, x in state.items()}, tmp_path / "model.safetensors")
    parameters = {k: torch.nn.Parameter(x, requires_grad=x.is_floating_point())
                  for k, x in state.items()}  # fmt: skip
    assert weightkin.full_digest(parameters) == weightkin.full_digest(tmp_path)
    assert weightkin.digest(parameters) == weightkin.digest(tmp_path)


def test_state_dicts_are_sources_of_every_verb(tmp_path, rng):
    parent = models.base(rng)
    child, other = models.child(parent, rng), models.base(rng)
    assert weightkin.compare(parent, child).verdict == "dependent"
    record = weightkin.compare(parent, other)
    assert record.verdict == "no-evidence"
    assert weightkin.verify(record, parent, other) == []
    assert weightkin.locate(parent, child).matched
    graph = weightkin.family_graph([parent, child, other, parent])
    assert (len(graph.nodes), len(graph.families)) == (3, 1)
    assert weightkin.take_sketch(parent).digest == weightkin.digest(parent)
    registry = Registry(tmp_path / "registry.sqlite")
    registry.add([models.write(tmp_path / "parent", parent)])
    assert len(registry.search(child).relatives) == 1
    found = weightkin.check(child, deny=[str(tmp_path / "parent")])
    assert found.outcome == "hit"


def test_what_is_not_a_state_dict_says_what_to_do():
    torch = pytest.importorskip("torch")
    with pytest.raises(UsageError, match=r"pass its state_dict\(\)"):
        weightkin.digest(torch.nn.Linear(2, 2))
    with pytest.raises(UsageError, match="cannot be read"):
        weightkin.digest({"w": torch.ones(2, device="meta")})
