"""Claim: a file, a folder, an adapter or a packed model on a hub is what it is on disk."""

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from benchmarks.lib.big_models import Shape, write_model
from safetensors.numpy import save_file

from tests import writers
from tests.hub_server import COMMIT, serving
from weightkin import compare
from weightkin.api.compare import Options
from weightkin.api.estimate import estimate, estimate_sketches
from weightkin.api.verify import verify
from weightkin.cli.transfers import CLEAR, show_transfers
from weightkin.errors import OutOfReach, UnreadableModel
from weightkin.evidence import ladder
from weightkin.formats import digest, full_digest, open_model
from weightkin.sketch import take_sketch
from weightkin.sources import ranges, transfer

ZOO = Path(__file__).parents[2] / "zoo" / "models"
SMALL = Shape(width=256, hidden=704, blocks=3, heads=8, kv_heads=8, vocabulary=1024)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A repository with a bit of everything, beside a base and its adapter."""
    folder = tmp_path_factory.mktemp("repositories")
    (folder / "mixed" / "sub" / "deeper").mkdir(parents=True)
    for name in ("model.safetensors", "config.json"):
        shutil.copy(ZOO / "llama-a" / name, folder / "mixed" / "sub" / "deeper" / name)
    x = np.random.default_rng(1).standard_normal((64, 96)).astype(np.float32)
    packed = {f"layer.{part}": value for part, value in writers.gptq(x, bits=4, version=1).items()}
    (folder / "packed").mkdir()
    save_file(packed, folder / "packed" / "model.safetensors")
    settings = {"quantization_config": {"checkpoint_format": "gptq"}}
    (folder / "packed" / "config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def middling(tmp_path_factory):
    """A model, its child and a stranger, which `far` takes for large."""
    folder = tmp_path_factory.mktemp("middling")
    write_model(folder / "base", SMALL, seed=1)
    write_model(folder / "child", SMALL, seed=1, noise_seed=2, noise=0.25)
    write_model(folder / "stranger", SMALL, seed=3)
    return folder


@pytest.fixture
def hub(here, middling, tmp_path, monkeypatch):
    with serving() as served:
        served.repositories = {
            f"org/{x.name}": x for home in (here, middling, ZOO) for x in home.iterdir()
        }
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setattr(transfer, "BACKOFF", 0.001)
        yield served


@pytest.fixture
def far(hub, monkeypatch):
    """Limits as small as these models are: they count as large, and rows lie far apart."""
    for module in ("sources.ranges", "formats.dry_run"):
        monkeypatch.setattr(f"weightkin.{module}.GAP", 1 << 10)
    monkeypatch.setattr("weightkin.derivation.equal.WHOLE_MODEL_BYTES", 1 << 20)
    monkeypatch.setattr("weightkin.evidence.sample.MIN_BYTES", 1 << 18)
    for module in ("evidence.signpairs", "evidence.calibrate"):
        monkeypatch.setattr(f"weightkin.{module}.FRUGAL_BYTES", 1 << 20)


@pytest.mark.parametrize("kind", ["F32", "Q8_0"])
def test_one_gguf_file_of_a_repository(hub, here, kind):
    pytest.importorskip("gguf")
    path = writers.gguf(ZOO / "llama-a", here / "mixed" / f"llama-{kind}.gguf", kind)
    source = f"org/mixed:{path.name}"
    model = open_model(source)
    assert (model.source, model.revision, model.name) == (f"hf://{source}", COMMIT, path.stem)
    assert full_digest(model) == full_digest(open_model(path))
    if kind == "F32":
        return
    there, local = compare(source, "org/llama-a"), compare(path, ZOO / "llama-a")
    assert (there.sentence, there.kind) == (local.sentence, local.kind)
    assert there.tests == local.tests


def test_a_folder_of_a_repository_and_a_file_in_it(hub, here):
    folder = here / "mixed" / "sub" / "deeper"
    for source in ("org/mixed:sub/deeper", f"hf://org/mixed@{COMMIT}:sub/deeper/model.safetensors"):
        model = open_model(source)
        assert digest(model) == digest(open_model(folder))
        assert model.config == open_model(folder).config
    assert open_model("org/mixed:sub/deeper/").name == "mixed-deeper"
    assert open_model("org/mixed:sub/deeper/model.safetensors").name == "mixed"
    record = compare("org/mixed:sub/deeper", ZOO / "llama-a-ft1")
    assert verify(record) == []  # at the commit, in the folder


def test_what_is_not_in_a_repository_is_one_line(hub):
    for part in ("none.gguf", "sub", "sub/none", "sub/deeper/model.safetensors/x"):
        with pytest.raises(UnreadableModel, match="no such file or folder; the repository has"):
            open_model(f"org/mixed:{part}")
    with pytest.raises(UnreadableModel, match=r"not a model file \(.json\)"):
        open_model("org/mixed:sub/deeper/config.json")


def test_a_packed_model(hub, here):
    there, local = open_model("org/packed"), open_model(here / "packed")
    assert [x.packed for x in there.tensors.values()] == ["gptq 4 bits"]
    assert digest(there) == digest(local)
    samples = [[t.stored for t in take_sketch(x).tensors.values()] for x in (there, local)]
    np.testing.assert_array_equal(*samples)


def test_a_base_and_an_adapter_wherever_each_lies(hub):
    names = "llama-a", "llama-a-lora4-adapter"
    expected = full_digest(open_model("+".join(str(ZOO / name) for name in names)))
    for homes in (("org", "org"), ("hf://org", str(ZOO)), (str(ZOO), "hf://org")):
        source = "+".join(f"{home}/{name}" for home, name in zip(homes, names, strict=True))
        model = open_model(source)
        assert full_digest(model) == expected
        assert model.name == "llama-a+llama-a-lora4-adapter"
        assert model.source.count(COMMIT) == sum("org" in home for home in homes)
        assert digest(open_model(model.source)) == digest(model)
    with pytest.raises(UnreadableModel, match="an adapter, which is read with its base"):
        open_model("org/llama-a-lora4-adapter")
    with pytest.raises(UnreadableModel, match="not an adapter"):
        open_model("org/llama-a+org/llama-b")
    with pytest.raises(UnreadableModel, match="no such model, revision or file on the hub"):
        open_model("org/llama-a+org/nothing")


def test_offline_a_cached_folder_is_enough(hub, here, tmp_path, monkeypatch):
    snapshot = tmp_path / "hf" / "hub" / "models--org--mixed" / "snapshots" / COMMIT
    shutil.copytree(here / "mixed", snapshot)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = open_model(f"org/mixed@{COMMIT}:sub/deeper")
    assert digest(model) == digest(open_model(ZOO / "llama-a"))
    with pytest.raises(OutOfReach, match="not in the cache"):
        open_model("org/llama-a+org/llama-a-lora4-adapter")
    assert hub.requests == []


@pytest.mark.claim
def test_a_large_pair_is_asked_for_in_few_errands(hub, far, middling, monkeypatch):
    errands = []
    fetch = ranges.fetch
    monkeypatch.setattr("weightkin.formats.dry_run.fetch", lambda x: (errands.append(1), fetch(x)))
    said = estimate("org/base", "org/child")
    n_before = len(hub.requests)
    there, local = (
        compare(*pair, seed=0)
        for pair in (("org/base", "org/child"), (middling / "base", middling / "child"))
    )
    assert there.sentence == local.sentence
    assert (there.tests, there.kind) == (local.tests, local.kind) == (local.tests, ("noise",))
    assert len(errands) == 6  # three a model: digest, which binds it; tests; then the sketch
    n_expected = sum(x.n_requests for x in said.models)
    n_second = 48  # of the second run, a few in each of its blocks and models
    assert len(hub.requests) - n_before <= n_expected + n_second + 14  # listings, redirects
    assert {x.confirmed for x in there.axes if x.passes} == {"second-run", "whole"}
    n_bytes = sum(x.n_bytes for x in said.models)
    assert n_bytes < there.bytes_read < 1.5 * n_bytes
    assert [s.what for s in there.skipped] == ["kind and direction"]
    assert "frugal" not in local.parameters
    assert verify(there, middling / "base", middling / "child") == []


@pytest.mark.claim
def test_a_large_stranger_is_not_read_without_saying_so(hub, far, middling):
    there = compare("org/base", "org/stranger")
    left = {s.what: s.sentence for s in there.skipped}
    assert "hidden units" in " ".join(left)
    assert "use --effort thorough" in left["calibrated evidence"]
    assert any(test.name == "signs" for test in there.tests)
    assert verify(there, middling / "base", middling / "stranger") == []
    thorough = compare("org/base", "org/stranger", effort="thorough", seed=0)
    local = compare(middling / "base", middling / "stranger", effort="thorough", seed=0)
    assert thorough.sentence == there.sentence == local.sentence
    assert thorough.tests == local.tests
    assert thorough.bytes_read > 2 * there.bytes_read


@pytest.mark.parametrize("kind", ["permuted", "rotated"])
def test_a_frugal_look_still_sees_through_a_disguise(zoo, kind):
    pair = zoo / "models" / "llama-a", zoo / "derived" / f"llama-a-{kind}"
    full, frugal = (compare(*pair, seed=0, options=Options(frugal=x)) for x in (False, True))
    assert frugal.verdict == full.verdict == "dependent"
    assert frugal.parameters["frugal"]
    assert ladder.FRUGAL_TOKENS < 512


def test_what_may_be_an_adapter_is_looked_at_again(zoo, monkeypatch):
    monkeypatch.setattr("weightkin.derivation.equal.WHOLE_MODEL_BYTES", 1 << 20)
    record = compare(
        zoo / "models" / "llama-a", zoo / "derived" / "llama-a-lora16", options=Options(frugal=True)
    )
    assert (record.kind, record.kind_details["rank"]) == (("lora",), 16)
    assert "ws1-r32-s0" in record.skipped[-1].sentence


def test_the_cost_of_sketches_is_known_before(hub):
    said = estimate_sketches(["org/base", "org/none"])
    assert [s.what for s in said.skipped] == ["org/none"]
    assert said.incomplete
    model = open_model("org/base")
    take_sketch(model)
    assert model.bytes_read == said.models[0].n_bytes
    with pytest.raises(UnreadableModel, match="no such model, revision or file on the hub"):
        estimate_sketches(["org/none"])


def test_progress_and_waits_are_said_to_who_listens(hub, caplog, monkeypatch):
    monkeypatch.setattr(ranges, "PAUSE", -1.0)
    monkeypatch.setattr(transfer, "WORTH_SAYING", 0.0)
    hub.fault, hub.n_faults = "busy", 1
    with caplog.at_level(logging.INFO, logger="weightkin.hub"):
        digest(open_model("org/base"))
    words = [record.getMessage() for record in caplog.records]
    assert any("HTTP status 429, waiting" in x for x in words)
    assert any(" MB, " in x and x.endswith(" s left") for x in words)
    assert getattr(caplog.records[-1], "is_last", False)


def test_a_terminal_shows_one_line_and_clears_it(capsys, monkeypatch):
    logger = logging.getLogger("weightkin.hub")
    before = logger.handlers[:], logger.level, logger.propagate
    logger.handlers[:] = []
    show_transfers()
    assert logger.handlers == []  # no terminal: nothing is shown
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    try:
        show_transfers()
        show_transfers()  # said once, however often it is asked for
        logger.info("x: %d of 2 MB", 1)
        logger.info("done", extra={"is_last": True})
    finally:
        logger.handlers[:], logger.level, logger.propagate = before
    assert capsys.readouterr().err == f"{CLEAR}x: 1 of 2 MB{CLEAR}"
