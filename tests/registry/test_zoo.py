"""Claim: models of the zoo, left out in turn, find true relatives first and their true parent."""

import pytest
from zoo import truth

from weightkin import Registry
from weightkin.registry.prepared import prepare

pytestmark = pytest.mark.claim
REGISTERED = (
    *("llama-a", "llama-a-ft1", "llama-a-ft2", "llama-a-ft3", "llama-a-ft1b", "llama-a-int4"),
    *("llama-a-permuted", "llama-a-rotated", "llama-a-ft2-disguised", "llama-b", "llama-b-ft1"),
    *("llama-c", "gpt-a", "gpt-a-ft1", "gpt-a-bf16", "gpt-b", "vit-a", "vit-a-int8", "vit-b"),
    *("moe-a", "moe-a-experts", "moe-b", "llama-distilled"),
)


@pytest.fixture(scope="module")
def registry(zoo, tmp_path_factory):
    entries = truth.load()
    found = Registry(tmp_path_factory.mktemp("zoo") / "r.sqlite")
    record = found.add([zoo / entries[name]["path"] for name in REGISTERED])
    assert len(record.added) == len(REGISTERED)
    return found


@pytest.mark.claim
@pytest.mark.parametrize(
    ("name", "parent"),
    [
        ("llama-a-ft3", "llama-a-ft2"),
        ("llama-a-int4", "llama-a"),
        ("llama-a-permuted", "llama-a"),
        ("llama-a-rotated", "llama-a"),
        ("gpt-a-bf16", "gpt-a"),
    ],
)
def test_relatives_come_first_and_the_parent_is_the_true_one(registry, name, parent):
    found = registry.trace(name).search
    n_kin = sum(truth.related(name, x) for x in REGISTERED if x != name)
    assert len(found.relatives) == n_kin
    assert all(truth.related(name, x.model.name) for x in found.relatives)
    assert [s.parent for s in found.parents] == [parent]
    assert found.path[-1].parent == truth.load()[name]["origins"][0]


@pytest.mark.parametrize("name", ["llama-distilled", "gpt-b", "moe-b"])
def test_strangers_stay_strangers(registry, name):
    assert registry.search(name).relatives == ()


@pytest.mark.parametrize("name", ["llama-a-permuted", "llama-a-rotated", "llama-a-ft2-disguised"])
def test_disguised_copies_are_proposed_by_the_invariant_vector(zoo, name):
    entries = truth.load()
    vectors = {x: prepare(zoo / entries[x]["path"]) for x in (*REGISTERED,)}
    own = vectors.pop(name)
    order = sorted(vectors, key=lambda x: -float(vectors[x].invariant @ own.invariant))
    assert all(truth.related(name, x) for x in order[:8])
    kin = [x for x in vectors if truth.related(name, x)]
    assert min(float(vectors[x].invariant @ own.invariant) for x in kin) > 0.5
