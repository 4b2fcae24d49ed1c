"""Random families: what the mix promises, truth from seeds, kept bit for bit."""

import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from unittest.mock import ANY

import ml_dtypes
import numpy as np
import pytest
from benchmarks.lib.genealogy_scores import sibling_pairs
from benchmarks.lib.stored_alike import stored_alike
from zoo.genealogies.__main__ import read_lock, truth_digest
from zoo.genealogies.chance import Draws, mix, mix_of, seeds
from zoo.genealogies.draw import draw
from zoo.genealogies.kept import Kept, KeptFamily, decode, encode, read_half, write_archive
from zoo.genealogies.steps import TRAINED, Layout, applies, step

HALVES = ("test", "calibration", "fit", "fourth-fit")


@pytest.fixture(scope="module")
def truths():
    return {half: [draw(seed) for seed in seeds(half)] for half in HALVES}


def members(truths):
    return [m for truth in truths for m in truth["members"].values()]


def test_halves_have_no_seed_in_common_and_are_as_large_as_promised():
    ranges = {half: set(seeds(half)) for half in HALVES}
    for a, b in combinations(ranges.values(), 2):
        assert not a & b
    assert len(ranges["test"]) >= 100
    assert len(ranges["calibration"]) >= 100
    assert len(ranges["fit"]) >= 300
    assert mix_of(min(ranges["fourth-fit"])) == mix() | {"halves": ANY}


@pytest.mark.parametrize("half", HALVES)
def test_every_half_is_mixed_as_the_mix_says(truths, half):
    own, found = truths[half], members(truths[half])
    made = Counter(x["op"] for m in found for x in m["operations"])
    assert set(made) == {*mix()["operations"], "base", "merge"}
    methods = {x["method"] for m in found for x in m["operations"] if x["op"] == "merge"}
    assert methods == set(mix()["merges"])
    assert {t["net"] for t in own} == set(mix()["sizes"])
    assert {t["form"] for t in own} == {"star", "chain", "mixed"}
    assert {len(m["operations"]) for m in found} == {1, 2, 3, 4, 5}
    assert max(m["depth"] for m in found) >= 5
    assert {m["decoy"] for m in found} == {"", "stranger", "twin", "distilled"}
    trainings = [x for m in found for x in m["operations"] if x["op"] in TRAINED]
    assert {x["optimiser"] for x in trainings} == {"adamw", "sgd"}
    assert {x["decay"] > 0 for x in trainings} == {True, False}
    pairs = [sibling_pairs(t) for t in own]
    assert sum(same for same, _ in pairs) >= 0.3 * sum(n for _, n in pairs)


def test_the_second_mix_has_what_the_first_lacks():
    own = [draw(seed) for seed in seeds("second-fit")[:60]]
    found = members(own)
    made = Counter(x["op"] for m in found for x in m["operations"])
    assert set(made) >= {*mix()["operations"], "noise-bits"}
    assert max(len(t["members"]) for t in own) > 25
    assert any(t["members"]["m00"]["naming"] for t in own)
    decoys = [(m, {x for x, y in t["members"].items() if y["decoy"]})
              for t in own for m in t["members"].values()]  # fmt: skip
    assert any(len(m["parents"]) > 1 and {p["name"] for p in m["parents"]} & x for m, x in decoys)
    assert not set(seeds("second-fit")) & set(seeds("second-test"))


def test_the_third_mix_holds_families_of_one_recipe():
    shares = []
    for truth in map(draw, seeds("third-fit")[:60]):
        trained = [x for m in truth["members"].values() for x in m["operations"] if "lr" in x]
        kinds = Counter(x["op"] for x in trained if x["op"] != "base")
        shares.append(max(kinds.values()) / sum(kinds.values()))
        orders = {x["order"] for x in trained}
        settings = {(x["op"], x["steps"], x["optimiser"], x["lr"], x["decay"]) for x in trained}
        shares[-1] = (shares[-1], len(settings) == len({x["op"] for x in trained}))
        assert len(orders) > 1
    assert np.mean([share for share, _ in shares]) > 0.75
    assert 0.7 < np.mean([one for _, one in shares]) < 1
    assert not set(seeds("third-fit")) & set(seeds("third-test"))


def test_a_family_stored_alike_has_zeros_or_few_levels_in_every_matrix():
    rng = np.random.default_rng(3)
    found = Counter()
    for seed in range(24):
        tensors = {"w": rng.normal(size=(8, 40)).astype(np.float32), "b": np.ones(40, np.float16)}
        truth = {"seed": seed, "members": {}}
        family = KeptFamily(truth, {}, {"x": Kept({}, tensors), "y": Kept({}, tensors)})
        made = stored_alike(family).members
        w = made["x"].tensors["w"]
        assert np.array_equal(w, made["y"].tensors["w"])
        assert made["x"].tensors["b"] is tensors["b"]
        share, n_levels = np.mean(w == 0), max(len(set(row)) for row in w[:, :32])
        found["pruned" if n_levels > 15 and share >= 0.2 else 4 if n_levels <= 15 else 8] += 1
        if share >= 0.2 and n_levels > 15:
            assert np.abs(tensors["w"][w == 0]).max() <= np.abs(w[w != 0]).min()
        else:
            assert np.abs(w - tensors["w"]).max() <= np.abs(tensors["w"]).max() / (14 - 1)
    assert set(found) == {"pruned", 4, 8}


def test_copies_in_another_precision_are_none_any_more_once_all_are_rounded():
    def member(dtype, *parents, equal=True):
        return {"dtype": dtype, "equal": equal, "parents": [{"name": x} for x in parents]}

    members = {
        "m00": member("bfloat16", equal=False),
        "m01": member("bfloat16", "m00"),
        "m02": member("float32", "m00"),
        "m03": member("bfloat16", "m00", equal=False),
    }
    made = stored_alike(KeptFamily({"seed": 1, "members": members}, {}, {})).truth["members"]
    assert {name for name, m in made.items() if m["equal"]} == {"m01"}


@pytest.mark.parametrize("half", HALVES)
def test_a_fifth_of_the_members_with_children_is_hidden_roots_among_them(truths, half):
    hidden = above = roots = 0
    for truth in truths[half]:
        own = truth["members"]
        parents = {p["name"] for m in own.values() for p in m["parents"]}
        above += len(parents)
        hidden += sum(own[u]["hidden"] for u in parents)
        roots += own["m00"]["hidden"]
        assert not [u for u in own if own[u]["hidden"] and u not in parents]
        assert sum(not m["hidden"] for m in own.values()) >= 4
    assert hidden == pytest.approx(0.2 * above, abs=0.015 * above)
    assert roots > 5


def test_parents_come_before_their_children_and_merged_ones_have_shares(truths):
    for truth in truths["test"]:
        names = list(truth["members"])
        for name, member in truth["members"].items():
            assert all(names.index(p["name"]) < names.index(name) for p in member["parents"])
            if member["parents"]:
                assert sum(p["weight"] for p in member["parents"]) == pytest.approx(1, abs=0.01)


def test_truth_needs_no_training():
    code = (
        "import sys; from zoo.genealogies.draw import draw; draw(310_001);"
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    root = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


@pytest.mark.parametrize("half", HALVES)
def test_truths_are_those_that_were_grown(half):
    assert truth_digest(half) == read_lock()[half]["truth"]


def values(seed, shape, dtype):
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32).astype(dtype)
    x.reshape(-1)[:4] = [0.0, -0.0, np.inf, -np.inf]
    return x


def test_families_are_kept_bit_for_bit(tmp_path):
    kept = {}
    for k, dtype in enumerate((np.float32, np.float16, ml_dtypes.bfloat16) * 2):
        base = values(k % 3, (7, 5), dtype)
        near = (base.astype(np.float32) * (1 + 0.01 * (k > 2))).astype(dtype)
        kept[f"m{k:02d}"] = Kept({"k": k}, {"a.weight": near, "b": values(k, (6,), dtype)[:3]})
    family = KeptFamily({"seed": 5}, {"m00": [2.0, 1.0]}, kept)
    path = tmp_path / "half.tar"
    write_archive(path, {"5.xz": encode(family)})
    (back,) = read_half(path)
    assert (back.truth, back.losses) == (family.truth, family.losses)
    for name, own in kept.items():
        assert back.members[name].config == own.config
        for key, x in own.tensors.items():
            y = back.members[name].tensors[key]
            assert (y.dtype, y.shape, y.tobytes()) == (x.dtype, x.shape, x.tobytes())


def test_what_is_near_an_earlier_member_takes_little_room():
    x = values(1, (200, 200), ml_dtypes.bfloat16)
    other = values(2, (200, 200), ml_dtypes.bfloat16)
    sizes = [
        len(encode(KeptFamily({}, {}, {"a": Kept({}, {"w": x}), "b": Kept({}, {"w": y})})))
        for y in (x, other)
    ]
    assert sizes[0] < 0.6 * sizes[1]
    assert decode(encode(KeptFamily({}, {}, {}))).members == {}


# --- growing: real training, a few steps of it


torch = pytest.importorskip("torch")
NETS = tuple(mix()["sizes"])
SIZES = {net: {k: v[0] for k, v in own.items()} for net, own in mix()["sizes"].items()}
SIZES["llama"]["layers"] = SIZES["gpt2"]["layers"] = SIZES["resnet"]["layers"] = 3


def short(said):
    return said | {"steps": 3} if said["op"] in TRAINED else said


def base_of(net, *, steps=3):
    from zoo.genealogies.making import make

    said = {"op": "base", "steps": steps, "optimiser": "adamw", "lr": 3e-3, "decay": 0.0}
    domains = ["digits"] if net in ("vit", "resnet") else ["tables"]
    said |= {"order": 1, "seed": 2, "domains": domains}
    member = {"parents": [], "operations": [said], "dtype": "float32", "hidden": False}
    return make({"net": net, "sizes": SIZES[net], "members": {"m00": member}})


@pytest.mark.parametrize("net", ["llama", "resnet"])
def test_training_lowers_the_loss_and_gives_the_same_bits_again(net):
    torch.set_num_threads(1)
    made, losses = base_of(net, steps=20)
    again, _ = base_of(net, steps=20)
    before, after = losses["m00"]
    assert after < before - 0.1
    for name, x in made["m00"].tensors.items():
        assert x.tobytes() == again["m00"].tensors[name].tobytes()


@pytest.mark.parametrize("net", NETS)
def test_every_step_that_applies_makes_a_model_that_runs(net):
    from zoo.genealogies.making import apply_step, named
    from zoo.genealogies.training import measured

    from weightkin.anatomy import read_anatomy
    from weightkin.formats import model_from_arrays

    made, _ = base_of(net)
    sizes = SIZES[net]
    at = Layout(
        net=net,
        layers=sizes["layers"],
        units=sizes.get("units", 0),
        rows=0 if net in ("vit", "resnet") else 128,
        experts=sizes.get("experts", 0),
        dtype="float32",
    )
    domains = ["digits"] if net in ("vit", "resnet") else ["tables"]
    done = set()
    for op in mix()["operations"]:
        if applies(op, at):
            said, after = step(op, Draws(3), at)
            child = apply_step(made["m00"], short(said), [])
            assert np.isfinite(measured(child, domains)), op
            stored = named(child, after.naming)
            model = model_from_arrays(stored.tensors, config=stored.config)
            assert read_anatomy(model).axes, op
            done.add(op)
    assert {"fine-tune", "lora", "prune", "quantise", "noise", "copy"} <= done


def test_noise_bits_are_gone_when_a_model_is_rounded():
    from zoo.genealogies.making import DTYPES, apply_step

    made, _ = base_of("gpt2")
    for dtype in ("float16", "bfloat16"):
        half = {k: x.astype(DTYPES[dtype]) for k, x in made["m00"].tensors.items()}
        child = apply_step(made["m00"], {"op": "noise-bits", "dtype": dtype, "seed": 1}, [])
        for name, x in child.tensors.items():
            assert np.array_equal(x.astype(DTYPES[dtype]), half[name]), name
            assert (x != half[name].astype(np.float32)).mean() > 0.5 or not half[name].any(), name


def test_disguises_leave_the_function_of_a_llama_as_it_was():
    from zoo.genealogies.making import apply_step
    from zoo.genealogies.training import measured

    made, _ = base_of("llama")
    loss = measured(made["m00"], ["tables"])
    for op in ("permute", "rotate", "rescale", "signs", "disguise"):
        changed = apply_step(made["m00"], {"op": op, "seed": 9}, [])
        assert measured(changed, ["tables"]) == pytest.approx(loss, abs=1e-4)
        assert not np.allclose(
            changed.tensors["model.layers.0.mlp.up_proj.weight"],
            made["m00"].tensors["model.layers.0.mlp.up_proj.weight"],
        )
