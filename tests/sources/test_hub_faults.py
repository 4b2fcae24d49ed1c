"""Claim: a fault that passes is waited out, one that stays is one line and the right exit code."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.hub_server import serving
from weightkin.errors import OutOfReach, UnreadableModel
from weightkin.formats import full_digest, open_model
from weightkin.sources.ranges import add, missing, pieces_of

N_ROWS, N_COLUMNS = 3000, 100  # 1.2 MB: more than the opening range


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m"
    path.mkdir()
    x = np.random.default_rng(3).standard_normal((N_ROWS, N_COLUMNS), dtype=np.float32)
    save_file({"w": x}, path / "model.safetensors")
    return path


@pytest.fixture
def hub(folder, tmp_path, monkeypatch):
    with serving() as served:
        served.repositories = {"org/m": folder}
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.delenv("HF_HUB_OFFLINE")
        monkeypatch.setattr("weightkin.sources.transfer.BACKOFF", 0.001)
        yield served


def run(*arguments, **environment):
    code = (
        "import weightkin.sources.transfer as t; t.BACKOFF = 0.001;"
        "from weightkin.cli.main import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True, text=True, check=False, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize("fault", ["busy", "broken", "cut", "hangs up", "busy listing", "expired"])
def test_what_passes_is_waited_out(hub, folder, fault):
    hub.fault, hub.n_faults = fault, 2 if fault != "expired" else 0
    model = open_model("org/m")
    if fault == "expired":
        hub.n_faults = 1  # the address in the store has run out since: a new one is asked for
    assert full_digest(model) == full_digest(open_model(folder))
    assert hub.n_faults == 0


def test_a_cut_range_is_taken_up_where_it_was_cut(hub, folder):
    hub.fault, hub.n_faults = "cut", 3
    model = open_model("org/m")
    assert full_digest(model) == full_digest(open_model(folder))
    assert hub.sent == (folder / "model.safetensors").stat().st_size  # not a byte twice


def test_a_slow_answer_is_asked_for_again(hub, folder, monkeypatch):
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "1")
    hub.fault, hub.n_faults = "slow", 1
    assert full_digest(open_model("org/m")) == full_digest(open_model(folder))


@pytest.mark.claim
@pytest.mark.parametrize(
    ("fault", "said", "code"),
    [
        ("busy", "cannot read from the hub (6 attempts: HTTP status 429)", 2),
        ("broken", "(6 attempts: HTTP status 503)", 2),
        ("hangs up", "(6 attempts: Remote end closed connection", 2),
        ("long wait", "the hub asks to wait 99999 s (HTTP status 429)", 2),
        ("cut", "cut short", 2),
        ("no ranges", "the server ignores ranges (bytes", 3),
        ("lies about place", "the server sent 'bytes", 3),
        ("lies about size", "changed on the server (400 bytes of a file", 3),
        ("huge answer header", "the answer is not HTTP", 3),
        ("expired", "access denied; accept its terms", 3),
    ],
)
def test_what_stays_is_one_line_and_an_exit_code(hub, fault, said, code):
    hub.fault = fault
    found = run("compare", "org/m", "org/m")
    assert found.returncode == code, found.stderr
    assert said in found.stderr
    assert found.stderr.count("\n") == 1
    assert hub.sent < 4_000_000


@pytest.mark.claim
def test_offline_and_missing_and_forbidden_have_their_exit_codes(hub):
    assert run("show", "org/m", HF_HUB_OFFLINE="1").returncode == 2
    assert run("show", "org/none").returncode == 3
    hub.private["org/m"] = "hf_secret"
    found = run("show", "org/m", HF_TOKEN="hf_wrong")
    assert (found.returncode, "HTTP status 401" in found.stderr) == (3, True)
    assert "hf_wrong" not in found.stderr + found.stdout
    found = run("show", "org/m", HF_TOKEN="hf_secret")
    assert found.returncode == 0
    assert "hf://org/m @ 0123456789abcdef0123456789abcdef01234567" in found.stdout


def test_a_server_that_ignores_ranges_is_not_downloaded(hub, folder, tmp_path):
    big = tmp_path / "big"
    big.mkdir()
    n = 1 << 33
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (n, n)
    with (big / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + n)
    hub.repositories["org/big"] = big
    assert open_model("org/big").n_bytes == n
    hub.fault, hub.sent = "no ranges", 0
    with pytest.raises(UnreadableModel, match="ignores ranges"):
        open_model("org/big")
    assert hub.sent < 32 << 20  # what the sockets took before they were closed


def test_a_small_file_is_read_from_a_server_without_ranges(hub, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    save_file({"w": np.ones((3, 2), np.float32)}, small / "model.safetensors")
    hub.repositories["org/small"] = small
    hub.fault = "no ranges"
    assert open_model("org/small").rows("w").tolist() == [[1, 1]] * 3


@pytest.mark.parametrize("length", [100_000_001, 2**63])
def test_a_huge_header_is_refused_before_it_is_fetched(hub, tmp_path, length):
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    with (hostile / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", length))
        file.truncate(200_000_000)
    hub.repositories["org/hostile"] = hostile
    with pytest.raises(UnreadableModel, match="not a safetensors file .the header claims"):
        open_model("org/hostile")
    assert hub.sent < 100_000


@pytest.mark.parametrize("target", ["file:///etc", "ftp://127.0.0.1", "//", "http://[", "gopher:x"])
def test_redirects_lead_to_the_web_only(hub, target):
    hub.elsewhere = target
    with pytest.raises((UnreadableModel, OutOfReach)) as caught:
        open_model("org/m")
    assert str(caught.value).isprintable()


def test_redirects_in_a_circle_end(hub):
    hub.elsewhere = f"{hub.address}/org/m/resolve/{'0' * 40}/x"
    with pytest.raises(UnreadableModel, match="more than 5 redirects"):
        open_model("org/m")


def test_an_address_that_is_none_is_refused(monkeypatch, tmp_path):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for address in ("file:///etc", "http://", "http://x:99x", "https://a b"):
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(UnreadableModel, match="HF_ENDPOINT"):
            open_model("org/m")


def test_help_needs_no_client():
    code = (
        "import sys; from weightkin.cli.main import app; import weightkin.formats;"
        "sys.exit(any(m.startswith(('huggingface_hub', 'httpx')) for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ranges_held_and_missing_are_those_of_a_set(rng):
    for _ in range(200):
        held, bytes_held = [], set()
        for _ in range(int(rng.integers(0, 8))):
            start = int(rng.integers(0, 60))
            stop = start + int(rng.integers(0, 12))
            add(held, start, stop)
            bytes_held |= set(range(start, stop))
        assert bytes_held == {x for a, b in held for x in range(a, b)}
        assert all(p[1] < q[0] for p, q in zip(held, held[1:], strict=False))
        starts = np.sort(rng.integers(0, 70, 5)).tolist()
        spans = [(a, a + int(rng.integers(0, 9))) for a in starts]
        wanted = {x for a, b in spans for x in range(a, b)}
        left = missing(spans, held)
        assert {x for a, b in left for x in range(a, b)} == wanted - bytes_held
        joined = pieces_of(left, 3)
        assert {x for a, b in joined for x in range(a, b)} >= wanted - bytes_held
        assert all(q[0] - p[1] > 3 for p, q in zip(joined, joined[1:], strict=False))
