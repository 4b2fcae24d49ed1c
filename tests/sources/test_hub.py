"""Claim: a model on a hub gives the verdict it gives on disk, and little of it is fetched."""

import os
import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests import models
from tests.formats.handmade import index, mapping, program, tensor, torch_file
from tests.hub_server import COMMIT, OLDER, serving
from weightkin import compare
from weightkin.api.estimate import estimate
from weightkin.api.verify import verify
from weightkin.errors import OutOfReach, UnreadableModel
from weightkin.formats import digest, full_digest, open_model
from weightkin.sources.ranges import OPENING


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    return models.write_pair(folder, "stranger")


@pytest.fixture
def hub(pair, tmp_path, monkeypatch):
    with serving() as served:
        served.repositories = {f"org/{x.name}": x for x in pair.iterdir()}
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setattr("weightkin.sources.transfer.BACKOFF", 0.001)
        yield served


def cached(home, name, folder, commit=COMMIT, only=None):
    """Put files into the hub's cache as huggingface-hub does: blobs, and links to them."""
    root = home / "hub" / f"models--{name.replace('/', '--')}"
    snapshot = root / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (root / "blobs").mkdir()
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(commit)
    for path in folder.iterdir():
        if only is None or path.name in only:
            (root / "blobs" / path.name).write_bytes(path.read_bytes())
            (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    return snapshot


@pytest.mark.parametrize("other", ["child", "stranger", "a"])
def test_the_verdict_is_the_one_from_disk(hub, pair, other):
    here = compare(pair / "a", pair / other)
    there = compare("org/a", f"hf://org/{other}")
    assert there.sentence == here.sentence
    assert (there.tests, there.kind, there.direction) == (here.tests, here.kind, here.direction)
    assert there.a.digest == here.a.digest
    assert (there.a.source, there.a.revision) == ("hf://org/a", COMMIT)
    sizes = [(pair / x / "model.safetensors").stat().st_size for x in ("a", other)]
    assert hub.sent <= there.bytes_read <= sum(sizes) + 10_000


def test_a_revision_is_resolved_to_its_commit_and_asked_for_once(hub):
    hub.commits["v1/old"] = OLDER
    model = open_model("org/a@v1/old")
    assert (model.source, model.revision, model.name) == ("hf://org/a", OLDER, "a")
    assert [path for place, path, _ in hub.requests if "/api/" in path] == [
        "/api/models/org/a/revision/v1%2Fold"
    ]
    assert all(OLDER in path for place, path, _ in hub.requests[1:] if place == "hub")


def test_a_local_path_goes_before_a_name_on_a_hub(hub, pair, monkeypatch):
    monkeypatch.chdir(pair.parent)
    assert open_model(f"{pair.name}/a").revision is None
    with pytest.raises(UnreadableModel, match="no such file or folder; a model on a hub"):
        open_model(f"{pair.name}/misspelt")  # beside models: not asked of a hub
    assert hub.requests == []


def test_only_ranges_are_fetched_and_none_twice(hub, tmp_path):
    folder = tmp_path / "wide"
    folder.mkdir()
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4000, 1000), dtype=np.float32)  # 16 MB
    save_file({"w": x}, folder / "model.safetensors")
    hub.repositories["org/wide"] = folder
    model = open_model("org/wide")
    wanted = np.array([3, 5, 2000, 3999])
    np.testing.assert_array_equal(model.rows("w", wanted), x[wanted])
    assert model.bytes_read == hub.sent < 100_000
    n_requests = len(hub.requests)
    np.testing.assert_array_equal(model.rows("w", wanted[::-1]), x[wanted[::-1]])
    assert len(hub.requests) == n_requests
    assert all(bytes_ for place, _, bytes_ in hub.requests if place == "store")


def test_the_store_is_found_once_a_file(hub):
    model = open_model("org/a")
    full_digest(model)
    asked = [path for place, path, _ in hub.requests if place == "hub" and "/resolve/" in path]
    assert len(asked) == len(set(asked))


def test_shards_and_their_index(hub, tmp_path):
    rng = np.random.default_rng(2)
    folder = tmp_path / "sharded"
    folder.mkdir()
    save_file({"x": rng.standard_normal((9, 3), dtype=np.float32)}, folder / "1.safetensors")
    save_file({"y": rng.standard_normal((9, 3), dtype=np.float32)}, folder / "2.safetensors")
    index(folder, {"x": "1.safetensors", "y": "2.safetensors"})
    hub.repositories["org/sharded"] = folder
    assert full_digest(open_model("org/sharded")) == full_digest(open_model(folder))
    (folder / "2.safetensors").unlink()
    model = open_model("org/sharded")
    assert model.is_partial
    assert "2.safetensors: no such file" in model.problems[0].why
    for shard in ("../a/model.safetensors", "/etc/passwd", "a/b.safetensors"):
        index(folder, {"x": "1.safetensors", "y": shard})
        with pytest.raises(UnreadableModel, match="is not the name of a file in the same folder"):
            open_model("org/sharded")


def test_torch_files_are_read_through_ranges(hub, tmp_path):
    folder = tmp_path / "torch"
    folder.mkdir()
    torch_file(folder / "pytorch_model.bin", program(mapping({"w": tensor()})))
    hub.repositories["org/torch"] = folder
    assert full_digest(open_model("org/torch")) == full_digest(open_model(folder))
    (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(UnreadableModel, match="damaged or truncated zip archive"):
        open_model("org/torch")


def test_what_the_cache_holds_is_read_there(hub, pair, tmp_path):
    cached(tmp_path / "hf", "org/a", pair / "a")
    model = open_model("org/a")
    assert digest(model) == digest(open_model(pair / "a"))
    assert (model.revision, hub.sent) == (COMMIT, 0)
    assert len(hub.requests) == 1


def test_offline_the_cache_is_enough_and_nothing_is_asked(hub, pair, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    cached(tmp_path / "hf", "org/a", pair / "a")
    for source in ("org/a", f"org/a@{COMMIT}", "hf://org/a@main"):
        assert open_model(source).revision == COMMIT
    for source in ("org/child", "org/a@v2", f"org/a@{OLDER}"):
        with pytest.raises(OutOfReach, match="not in the cache") as caught:
            open_model(source)
        assert "\n" not in str(caught.value)
    assert hub.requests == []


def test_offline_a_shard_that_is_not_cached_is_said_so(hub, tmp_path, monkeypatch):
    folder = tmp_path / "sharded"
    folder.mkdir()
    save_file({"x": np.ones((2, 2), np.float32)}, folder / "1.safetensors")
    index(folder, {"x": "1.safetensors", "y": "2.safetensors"})
    cached(tmp_path / "hf", "org/sharded", folder)
    cached(tmp_path / "hf", "org/a", folder, only=["config.json"])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = open_model("org/sharded")
    assert model.is_partial
    assert "offline" in model.problems[0].why
    with pytest.raises(OutOfReach):
        open_model("org/a")


def test_without_a_hub_the_cache_stands_in(pair, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setattr("weightkin.sources.transfer.BACKOFF", 0.001)
    said = r"cannot read from the hub \(6 attempts: Connection refused\); the model is not in"
    with pytest.raises(OutOfReach, match=said):
        open_model("org/a")
    cached(tmp_path / "hf", "org/a", pair / "a")
    assert open_model("org/a").revision == COMMIT


def test_a_private_model_wants_the_token_and_the_store_never_sees_it(hub, monkeypatch):
    hub.private["org/a"] = "hf_secret"
    with pytest.raises(UnreadableModel, match="set HF_TOKEN .*HTTP status 401") as caught:
        open_model("org/a")
    assert "\x1b" not in str(caught.value)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    digest(open_model("org/a"))
    assert {place for place, _ in hub.tokens} == {"hub"}
    hub.gated.add("org/a")
    with pytest.raises(UnreadableModel, match="accept its terms .*HTTP status 403"):
        open_model("org/a")


def test_verify_reads_the_commit_that_was_read_then(hub):
    record = compare("org/a", "org/child")
    assert verify(record) == []
    hub.commits["main"] = OLDER  # the branch has moved on; the commit is still there
    hub.commits["then"] = COMMIT
    assert verify(record) == []
    assert compare("org/a", f"org/a@{COMMIT}").kind_details["identical"] != "same files"


def test_an_open_model_travels_to_another_process(hub):
    model = open_model("org/a")
    twin = pickle.loads(pickle.dumps(model))
    assert digest(twin) == digest(model)


@pytest.mark.parametrize(
    "source",
    ["hf://", "hf://a/b/c", "hf://../x", "hf://org/na--me", "hf://org/name@a..b", "hf://org/n@",
     "hf://org/name:/etc", "org/name:.git/x", "hf://org/name:a//b", "hf://org/name:a\\b",
     "hf://org/\x1b[31m", "hf://org/a\nb"],
)  # fmt: skip
def test_what_is_no_name_of_a_model_is_refused_unasked(hub, source):
    with pytest.raises(UnreadableModel) as caught:
        open_model(source)
    assert str(caught.value).isprintable()
    assert hub.requests == []


def test_what_a_listing_says_is_checked(hub, tmp_path):
    hub.siblings = ["../../etc/x.safetensors", "a\\b.bin", "x/y.safetensors", ".hidden.bin", "\x1b"]
    with pytest.raises(UnreadableModel, match="no model file among 0 entries"):
        open_model("org/a")
    hub.commit = "../../x"
    with pytest.raises(UnreadableModel, match="40 hexadecimal digits"):
        open_model("org/a")


def test_nothing_is_left_in_the_cache(hub, tmp_path):
    digest(open_model("org/a"))
    assert not os.path.exists(tmp_path / "hf" / "hub")


def test_an_estimate_is_what_is_then_read(hub):
    said = estimate("org/a", "org/child")
    before = hub.sent
    assert before == sum(x.headers for x in said.models)  # headers only
    record = compare("org/a", "org/child")
    assert [x.revision for x in said.models] == [COMMIT, COMMIT]
    assert sum(x.n_bytes for x in said.models) == pytest.approx(record.bytes_read, abs=3 * OPENING)
    alone = estimate("org/a").models[0]
    assert (alone.tests, alone.kind) == (0, 0)


def test_an_estimate_of_local_files_is_exact(pair):
    said = estimate(pair / "a", pair / "child")
    record = compare(pair / "a", pair / "child")
    assert sum(x.n_bytes for x in said.models) == pytest.approx(record.bytes_read, rel=0.1)
