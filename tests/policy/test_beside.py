"""Claim: what a policy leaves out is named; what lies in many small files is added up."""

import base64
import shutil

import numpy as np
import pytest
from benchmarks.lib import claim
from safetensors.numpy import load_file, save_file

from tests.conftest import ROOT
from tests.formats.test_ledger import HIDDEN, NOISE, made
from tests.hub_server import serving
from weightkin import Policy, check, read_policy
from weightkin.report.checking import check_lines

MODELS = ROOT / "zoo" / "models"
cases = claim("cases.bytes")
arrays_of, write = cases.arrays_of, cases.write


def codes(record):
    return {x.code for x in record.findings if x.level == "error"}


def test_what_a_policy_leaves_out_is_not_opened_and_named(tmp_path):
    denied, root = (write(tmp_path / str(i), arrays_of(i)) for i in (1, 2))
    (root / "sub").mkdir()
    (root / "run.sh.gz").write_bytes(b"\x1f\x8bx")
    (root / "sub" / "b.gz").write_bytes(b"\x1f\x8bx")
    shutil.copy(denied / "model.safetensors", root / "old.safetensors")
    (tmp_path / "p.toml").write_text(
        f'[forbidden]\nancestors = ["{denied}"]\n[files]\nleave-out = ["*.gz", "sub/*"]\n'
    )
    policy = read_policy(tmp_path / "p.toml")
    record = check(root, policy)
    assert record.outcome == "hit"
    assert record.left_out == (str(root / "run.sh.gz"), str(root / "sub" / "b.gz"))
    assert any("left out by the policy: 2 files" in line for line in check_lines(record))
    (root / "old.safetensors").unlink()
    assert check(root, policy).outcome == "pass"
    named = Policy(forbidden_ancestors=(str(denied),), leave_out=("b.gz",))
    record = check(root, named)
    assert (record.outcome, record.left_out) == ("incomplete", (str(root / "sub" / "b.gz"),))


def test_weights_in_many_small_texts_are_added_up(tmp_path):
    root = tmp_path / "m"
    shutil.copytree(MODELS / "llama-b", root)
    held = load_file(MODELS / "llama-a" / "model.safetensors")
    raw = b"".join(x.astype(np.float16).tobytes() for x in held.values())
    for at in range(0, len(raw), 9000):
        text = base64.b64encode(raw[at : at + 9000]).decode()
        (root / f"{at}.{'json' if at % 2000 else 'txt'}").write_text(f'"{text}"')
    assert codes(check(root, deny=[MODELS / "llama-a"])) == {"hidden-together"}


def test_sharing_only_what_the_policy_calls_common_is_a_note(tmp_path):
    """A forbidden model and a candidate hold one tower, which was published by somebody else."""
    tower = {f"tower.{k}": x for k, x in arrays_of(3).items()}
    common = write(tmp_path / "tower", arrays_of(3))
    forbidden = write(tmp_path / "bad", {**arrays_of(1), **tower})
    candidate = write(tmp_path / "good", {**arrays_of(2), **tower})
    assert check(candidate, deny=[forbidden]).outcome == "hit"
    policy = Policy(forbidden_ancestors=(str(forbidden),), commons=(str(common),))
    record = check(candidate, policy)
    assert record.outcome == "pass"
    assert [(x.code, x.level) for x in record.findings] == [("commons", "warning")]
    thief = write(tmp_path / "thief", {**arrays_of(1), **tower})
    assert check(thief, policy).outcome == "hit"
    tuned = {k: x * 1.001 for k, x in tower.items()}
    assert check(write(tmp_path / "tuned", {**arrays_of(2), **tuned}), policy).outcome == "hit"
    gone = Policy(forbidden_ancestors=(str(forbidden),), commons=(str(tmp_path / "gone"),))
    assert check(candidate, gone).outcome == "hit"


def test_a_part_of_a_common_model_is_common_by_its_values_alone(tmp_path):
    """The text encoder of a published pair of towers, in half precision and under another name."""
    text, vision = arrays_of(3), arrays_of(4)
    towers = {f"text.{k}": x for k, x in text.items()}
    towers |= {f"vision.{k}": x for k, x in vision.items()}
    common = write(tmp_path / "towers", towers)
    forbidden = write(tmp_path / "bad", {**arrays_of(1), **{f"t.{k}": x for k, x in text.items()}})
    half = {f"cond.{k}": x.astype(np.float16) for k, x in text.items()}
    policy = Policy(forbidden_ancestors=(str(forbidden),), commons=(str(common),))
    record = check(write(tmp_path / "good", {**arrays_of(2), **half}), policy)
    assert [(x.code, x.level) for x in record.findings] == [("commons", "warning")]
    other = {f"text.{k}": x.astype(np.float16) for k, x in arrays_of(5).items()}
    named = write(tmp_path / "named", {**arrays_of(2), **other})
    trained = write(tmp_path / "bad2", {**arrays_of(1), **other})
    policy = Policy(forbidden_ancestors=(str(trained),), commons=(str(common),))
    assert check(named, policy).outcome == "hit"  # names do not make it common


@pytest.mark.parametrize(("kind", "hide", "code"), HIDDEN)
def test_hidden_bytes_never_pass(tmp_path, kind, hide, code):
    path = made(kind, tmp_path / f"m.{kind}")
    hide(path)
    denied = write(tmp_path / "denied", {"layers.0.weight": np.ones((20, 30), "f4")})
    record = check(path, deny=[denied])
    assert record.outcome == "incomplete"
    found = [x.data["reason"]["code"] for x in record.findings if x.code == "bytes-unread"]
    assert found == [code] or record.models[0].skipped


def test_hidden_bytes_of_a_model_in_memory_are_seen_too(tmp_path):
    from weightkin import open_model

    save_file(arrays_of(2), tmp_path / "m.safetensors", metadata={"x": NOISE.tobytes().hex() * 2})
    model = open_model(tmp_path / "m.safetensors")
    denied = write(tmp_path / "denied", arrays_of(1))
    assert "bytes-unread" in codes(check(model, deny=[denied]))


def test_of_a_repository_on_a_hub_every_file_is_looked_at(tmp_path, monkeypatch):
    denied, root = (write(tmp_path / str(i), arrays_of(i)) for i in (1, 2))
    (root / "README.md").write_text("# A model\n")
    with serving() as served:
        served.repositories = {"org/good": root}
        monkeypatch.setenv("HF_ENDPOINT", served.address)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.delenv("HF_HUB_OFFLINE")
        assert check("hf://org/good", deny=[denied]).outcome == "pass"
        (root / "original").mkdir()
        shutil.copy(denied / "model.safetensors", root / "original" / "consolidated.safetensors")
        (root / "blob").write_bytes(NOISE.tobytes())
        record = check("hf://org/good", deny=[denied])
        assert record.outcome == "incomplete"
        where = {x.source for x in record.models}
        assert where == {"hf://org/good", "hf://org/good:blob",
                         "hf://org/good:original/consolidated.safetensors"}  # fmt: skip
        assert check("hf://org/good:model.safetensors", deny=[denied]).outcome == "pass"
