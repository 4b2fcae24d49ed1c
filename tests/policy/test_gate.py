"""Claim: the gate stops undeclared derivatives and looser licences, and never passes the unread."""

import json
import shutil
import zipfile
from pathlib import PurePath

import numpy as np
import pytest

from tests.commands import command
from tests.conftest import ROOT
from tests.lineage.simulated import base, trained_on
from tests.policy.sarif_rules import check_sarif
from tests.registry.conftest import write
from tests.registry.test_commands import run
from weightkin import Policy, Registry, check
from weightkin.errors import NoRegistry, UnreadableModel, UsageError
from weightkin.records.checking import Check
from weightkin.report.advice import NO_REGISTRY, OPEN_PARENT, RULE_WORDS, advice, is_open_parent
from weightkin.report.checking import check_lines
from weightkin.report.sarif import sarif

CARDS = {  # of the zoo, name: front matter
    "llama-a": "license: cc-by-nc-4.0",
    "llama-b": "license: gpl-3.0",
    "llama-a-ft1": "",  # undeclared
    "llama-b-ft1": "license: mit\nbase_model: org/llama-b",  # looser
}


def card(folder, front):
    if front:
        (folder / "README.md").write_text(f"---\n{front}\n---\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small folder of candidates from the zoo, and a registry of their bases."""
    home = tmp_path_factory.mktemp("gate")
    for name, front in CARDS.items():
        where = home / ("candidates" if "-ft" in name else "bases") / name
        shutil.copytree(ROOT / "zoo" / "models" / name, where)
        card(where, front)
    Registry(home / "r.sqlite").add([home / "bases" / name for name in CARDS if "-ft" not in name])
    return home


@pytest.fixture(scope="module")
def found(folder):
    """One run over the folder, as a user has it."""
    done = run("check", "candidates", "--registry", "r.sqlite", "--json", cwd=folder)
    record = Check.from_json(done.stdout)
    return done, record, json.loads(sarif(record, folder))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Root (#1) and stranger (#2) registered; a child and a grandchild of root that are not."""
    home = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(21)
    root = base(rng)
    card(write(home / "root", root), "license: cc-by-nc-4.0")
    card(write(home / "stranger", base(rng)), "license: gpl-3.0")
    child = trained_on(root, rng)
    card(write(home / "child", child), "license: mit")
    card(write(home / "good", child), "license: cc-by-nc-4.0\nbase_model: org/root")
    Registry(home / "r.sqlite").add([home / "root", home / "stranger"])
    return home


def test_an_undeclared_derivative_and_a_looser_licence_stop_a_folder(found):
    done, record, _ = found
    assert (done.returncode, done.stderr, record.outcome) == (1, "", "hit")
    said = {m.name: [(x.rule, x.level) for x in m.findings] for m in record.models}
    assert said["llama-a-ft1"] == [("undeclared-parent", "error"), ("unknown-licence", "warning")]
    assert said["llama-b-ft1"] == [("looser-licence", "error")]


def test_every_finding_gives_its_evidence_and_what_to_do(found):
    _, record, _ = found
    by_name = {m.name: m.findings for m in record.models}
    undeclared = by_name["llama-a-ft1"][0]
    assert undeclared.sentence.startswith(
        "not declared: llama-a (#1): shares weights or a random start (p <= 1e-"
    )
    assert "exact" in undeclared.sentence
    assert "cosine of matched units" in undeclared.sentence
    assert undeclared.ancestor.digest.startswith("wk1-")
    assert undeclared.summary.log10_pvalue < -1000
    assert undeclared.summary.effect.observed > 0.9 > undeclared.summary.effect.chance
    looser = by_name["llama-b-ft1"][0]
    for word in ("mit (permissive)", "llama-b (#2)", "gpl-3.0 (strong-copyleft)", "p <= 1e-"):
        assert word in looser.sentence
    for x in record.findings:
        assert advice(x) == (OPEN_PARENT if is_open_parent(x) else RULE_WORDS[x.rule][1])


def test_the_sarif_log_is_valid(found):
    _, record, log = found
    results = check_sarif(log)
    assert [r["ruleId"] for r in results] == [x.rule for x in record.findings]
    uris = [r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in results]
    assert "candidates/llama-b-ft1/model.safetensors" in uris
    assert {PurePath(x).name for x in uris} == {"model.safetensors"}
    beside = [x["physicalLocation"]["artifactLocation"]["uri"]
              for r in results for x in r.get("relatedLocations", ())]  # fmt: skip
    assert "candidates/llama-b-ft1/README.md" in beside


def test_fingerprints_name_the_same_finding_in_every_run(small, tmp_path):
    first = check(small / "child", registry=small / "r.sqlite")
    shutil.copytree(small / "child", tmp_path / "elsewhere")
    again = check(tmp_path / "elsewhere", registry=small / "r.sqlite")
    assert {x.rule for x in first.findings} == {"undeclared-parent", "looser-licence"}
    assert {x.fingerprint for x in first.findings} == {x.fingerprint for x in again.findings}
    assert len({x.fingerprint for x in first.findings}) == 2


def test_a_rule_can_warn_or_be_turned_off(small):
    levels = {"looser-licence": "warning", "undeclared-parent": "off"}
    record = check(small / "child", Policy(levels=levels), registry=small / "r.sqlite")
    assert (record.outcome, [x.level for x in record.findings]) == ("pass", ["warning"])
    own = Policy(levels={"undeclared-parent": "off"}, licences={"mit": "no-derivatives"})
    assert check(small / "child", own, registry=small / "r.sqlite").findings == ()
    open_ = Policy(undetermined_direction="warning")
    assert check(small / "child", open_, registry=small / "r.sqlite").outcome == "pass"


def test_named_models_are_compared_without_a_registry(small):
    child, root, stranger = small / "child", small / "root", small / "stranger"
    record = check(child, deny=[root])
    assert [(x.rule, x.level) for x in record.findings] == [("forbidden-ancestor", "error")]
    assert check(child, deny=[stranger]).outcome == "pass"
    expected = check(child, expect=[root])
    assert expected.outcome == "pass"
    assert any(x.startswith("  found  root: dependent (p <= 1e-") for x in check_lines(expected))
    record = check(child, expect=[stranger], deny=[root])
    assert {x.rule for x in record.findings} == {"missing-parent", "forbidden-ancestor"}
    assert [x.summary.kind for x in check(root, deny=[root]).findings] == [("identical",)]


def test_a_registered_model_is_checked_by_its_name_or_number(small):
    for name in ("stranger", "#2"):
        record = check(name, deny=["#1"], registry=small / "r.sqlite")
        assert (record.models[0].name, record.outcome) == ("stranger", "pass")
    with pytest.raises(
        UnreadableModel, match="no such path, and no model of this name or number in"
    ):
        check("nosuch", registry=small / "r.sqlite")


def test_where_no_registry_is_given_the_advice_is_to_name_one(small, tmp_path):
    record = check(small / "child", Policy(forbidden_families=("#1",)), deny=["#1"])
    assert record.outcome == "incomplete"
    assert {advice(x) for x in record.findings if x.state == "unverifiable"} == {NO_REGISTRY}
    with pytest.raises(NoRegistry):
        check(small / "child", deny=["#1"], registry=tmp_path / "none")


def test_registered_models_and_families_are_named_by_number(small):
    policy = Policy(
        forbidden_ancestors=("#1", "#2"), forbidden_families=("root",), expected_parents=("#2",)
    )
    record = check(small / "good", policy, registry=small / "r.sqlite")
    assert [(x.rule, x.ancestor.id) for x in record.findings] == [
        ("forbidden-ancestor", 1),
        ("forbidden-family", 1),
        ("missing-parent", 2),
    ]
    own = check(small / "root", Policy(forbidden_ancestors=("#1",)), registry=small / "r.sqlite")
    assert own.findings[0].sentence.startswith("forbidden root (#1): the model itself: ")


def test_an_undeclared_copy_is_an_undeclared_parent(small, tmp_path):
    shutil.copytree(small / "root", tmp_path / "mine")
    record = check(tmp_path / "mine", registry=small / "r.sqlite")
    assert [x.rule for x in record.findings] == ["undeclared-parent"]
    assert "but has the same values: root (#1)" in record.findings[0].sentence


def test_declarations_are_held_against_the_weights(small, tmp_path):
    where = tmp_path / "m"
    shutil.copytree(small / "child", where)
    card(where, "license: acme\nbase_model: [root, stranger, org/elsewhere]")
    record = check(where, registry=small / "r.sqlite")
    assert [(x.rule, x.state, x.ancestor and x.ancestor.name) for x in record.findings] == [
        ("contradicted-parent", "hit", "stranger"),
        ("unverified-parent", "unverifiable", "org/elsewhere"),
        ("unknown-licence", "hit", None),
    ]
    assert record.outcome == "incomplete"
    lax = Policy(levels={"unverified-parent": "warning", "contradicted-parent": "off"})
    assert check(where, lax, registry=small / "r.sqlite").outcome == "pass"


def test_a_stranger_has_an_unknown_origin(small, tmp_path):
    where = write(tmp_path / "new", base(np.random.default_rng(22)))
    record = check(where, registry=small / "r.sqlite")
    assert [(x.rule, x.level) for x in record.findings] == [("unknown-origin", "warning")]
    assert record.outcome == "pass"
    strict = Policy(levels={"unknown-origin": "error"})
    assert check(where, strict, registry=small / "r.sqlite").outcome == "hit"


@pytest.mark.parametrize("name", ["broken.safetensors", "gone", "#7", "org/offline", "a\0b", "+"])
def test_what_cannot_be_verified_never_passes(small, tmp_path, name):
    (tmp_path / "broken.safetensors").write_bytes(b"no model")
    named = str(tmp_path / name) if name in ("broken.safetensors", "gone") else name
    for how in ("deny", "expect"):
        record = check(small / "good", **{how: [named]})
        assert record.outcome == "incomplete"
        assert [x.rule for x in record.findings] == ["unverifiable"]
        assert record.findings[0].sentence.isprintable()


def test_what_could_not_be_verified_outranks_a_hit_that_is_listed_too(small, tmp_path):
    done = command("check", small / "good", "--deny", small / "root", "--deny", tmp_path / "gone")
    assert done.returncode == 2
    assert "error forbidden-ancestor: forbidden root: shares weights" in done.stdout
    assert "gone: no such file or folder; a model on a hub" in done.stdout


def test_a_registry_that_cannot_be_used_never_passes(small, tmp_path):
    target = small / "good"
    (tmp_path / "damaged").write_bytes(b"no registry" * 1000)
    for name in ("missing", "damaged"):
        with pytest.raises(NoRegistry):
            check(target, Policy(forbidden_families=("#1",)), registry=tmp_path / name)
    shutil.copytree(small / "r.sqlite.files", tmp_path / "r.sqlite.files")
    shutil.copy(small / "r.sqlite", tmp_path / "r.sqlite")
    with (tmp_path / "r.sqlite.files" / "aligned.vectors").open("r+b") as file:
        file.truncate(10)
    assert check(target, registry=tmp_path / "r.sqlite").outcome == "incomplete"
    asks = tmp_path / "p.toml"
    asks.write_text("[rules]\nunknown-origin = 'warning'\n")
    assert check(target, asks).outcome == "incomplete"
    asks.write_text("[rules]\nunknown-origin = 'off'\n")
    with pytest.raises(UsageError, match="nothing to check"):
        check(target, asks)


def test_unreadable_models_exit_with_three_or_two(small, tmp_path):
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no model")
    done = command("check", bad, "--deny", small / "root")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert command("check", tmp_path / "gone", "--deny", small / "root").returncode == 3
    with pytest.raises(UnreadableModel):
        check(bad, deny=["x"])
    record = check([bad, small / "good"], deny=[small / "stranger"])
    assert record.outcome == "incomplete"
    assert [len(m.findings) for m in record.models] == [1, 0]


def test_a_model_with_a_missing_shard_never_passes(small, tmp_path):
    where = tmp_path / "m"
    shutil.copytree(small / "good", where)
    (where / "model.safetensors").rename(where / "model-00001-of-00002.safetensors")
    from safetensors import safe_open

    with safe_open(where / "model-00001-of-00002.safetensors", "np") as file:
        index = dict.fromkeys(file.keys(), "model-00001-of-00002.safetensors")
    index["gone"] = "model-00002-of-00002.safetensors"
    (where / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    for model, other in ((where, small / "stranger"), (small / "stranger", where)):
        record = check(model, deny=[other])
        assert record.outcome == "incomplete"
        assert "00002" in record.findings[0].sentence


def test_wrong_command_lines_exit_with_four(small, tmp_path):
    off = tmp_path / "p.toml"
    off.write_text("[rules]\nforbidden-ancestor = 'off'\n")
    for more in (
        (),
        ("--policy", tmp_path / "none"),
        ("--policy", off, "--deny", "x"),
        ("--deny", "x", "--json", "--format", "sarif"),
        ("--deny", "x", "--format", "none"),
        ("--deny", "x", "--output", tmp_path / "no" / "folder"),
        ("--deny", "x", "--output", small / "good" / "out.sarif"),
        ("--deny", "x", "--seed", "-1"),
        ("--deny",),
    ):
        done = command("check", small / "good", *more)
        assert (done.returncode, done.stdout) == (4, ""), more
        assert done.stderr
    with pytest.raises(UsageError, match="nothing to check"):
        check(small / "good")


def test_a_folder_cannot_take_the_name_of_a_registered_model(small, tmp_path, monkeypatch):
    where = tmp_path / "m"
    shutil.copytree(small / "child", where)
    card(where, "license: cc-by-nc-4.0\nbase_model: root")
    digest = Registry(small / "r.sqlite").list()[0].digest
    monkeypatch.chdir(tmp_path)

    def outcome(name):
        return check("m", Policy(forbidden_ancestors=(name,)), registry=small / "r.sqlite")

    assert outcome("root").outcome == outcome(digest).outcome == "hit"
    shutil.copytree(small / "stranger", tmp_path / "root")  # as a pull request could
    record = outcome("root")
    assert record.outcome == "incomplete"
    said = "root: both a path here and registered as #1: write #1 or an absolute"
    assert record.findings[0].sentence.startswith(said)
    for name in ("#1", digest, str(small / "root")):
        assert outcome(name).outcome == "hit", name
    assert outcome("wk1-none").outcome == "incomplete"
    family = Policy(forbidden_families=("root",))
    assert check("m", family, registry=small / "r.sqlite").outcome == "incomplete"


def test_titles_of_rules_say_what_a_hit_is_and_results_point_at_files(small, tmp_path):
    shutil.copytree(small / "child", tmp_path / "m")
    (tmp_path / "m" / "README.md").unlink()
    log = json.loads(sarif(check(tmp_path / "m", deny=[small / "root"]), tmp_path))
    (result,) = check_sarif(log)
    title = log["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"]]["shortDescription"]
    assert title["text"] == "The model is related to a forbidden model."
    where = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert where == "m/model.safetensors"
    assert "relatedLocations" not in result  # nothing that a model card says is wrong


@pytest.mark.parametrize("given", ["m/model.safetensors", "m"])
def test_a_result_points_at_the_weights_and_never_at_a_config(small, tmp_path, given):
    shutil.copytree(small / "child", tmp_path / "m")
    (tmp_path / "m" / "config.json").write_text("{}")
    record = check(tmp_path / given, deny=[small / "root"])
    assert record.findings
    for result in check_sarif(json.loads(sarif(record, tmp_path))):
        place = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert place == "m/model.safetensors"
    shutil.rmtree(tmp_path / "m")  # a record that is drawn where the models are not
    for result in check_sarif(json.loads(sarif(record, tmp_path))):
        assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == given


def test_hostile_names_stay_text(small, tmp_path):
    name = "<script>[x](http:\u202e\x1b[31m)&{0}%s" + "n" * 150
    shutil.copytree(small / "child", tmp_path / name)
    card(tmp_path / name, "license: '<b>\u202e[l](x)'\nbase_model: '<i>\x1b[2J[p](y)'")
    args = ("check", tmp_path / name, "--registry", small / "r.sqlite")
    written = command(*args, "--format", "sarif")
    results = check_sarif(json.loads(written.stdout))
    assert any("<script>" in r["message"]["text"] for r in results)
    assert written.returncode == 2  # the declared parent is in no registry
    assert not {"\x1b", "\u202e"} & set(written.stdout)


def test_nothing_is_written_into_the_folder_of_a_model(small):
    before = {p: p.stat().st_mtime_ns for p in (small / "child").rglob("*")}
    check(small / "child", registry=small / "r.sqlite", deny=[small / "root"])
    assert {p: p.stat().st_mtime_ns for p in (small / "child").rglob("*")} == before


def test_a_forged_direction_lowers_no_level(small, tmp_path):
    """A copy of a rounded model, with noise below its last bit, poses as its parent."""
    rng = np.random.default_rng(23)
    rounded = {k: v.astype(np.float16) for k, v in base(rng).items()}
    forged = {k: v.astype(np.float32) * np.float32(1 + 1e-5) for k, v in rounded.items()}
    denied, copy = write(tmp_path / "denied", rounded), write(tmp_path / "copy", forged)
    record = check(copy, deny=[denied])
    assert [(x.rule, x.level) for x in record.findings] == [("forbidden-ancestor", "error")]
    registry = Registry(tmp_path / "r.sqlite")
    registry.add([denied])
    record = check(copy, registry=registry)
    assert ("undeclared-parent", "error") in [(x.rule, x.level) for x in record.findings]
    assert record.outcome == "hit"


def test_what_no_test_reached_must_be_too_small_to_be_the_forbidden_model(small, tmp_path):
    from safetensors.numpy import load_file, save_file

    held = load_file(small / "root" / "model.safetensors")
    rest = np.concatenate([x.ravel() for x in held.values()]).astype(np.float32)
    where = tmp_path / "m"
    shutil.copytree(small / "stranger", where)
    clean = load_file(where / "model.safetensors")
    for extra in (rest, rest.view(np.uint8), rest.reshape(-1, 1)):
        save_file({**clean, "extra": extra}, where / "model.safetensors")
        record = check(where, deny=[small / "root"])
        assert record.outcome == "incomplete"
        assert "parameters" in record.findings[0].sentence or "bytes" in record.findings[0].sentence
    save_file({**clean, "extra": rest[:50]}, where / "model.safetensors")
    record = check(where, deny=[small / "root"])
    assert record.outcome == "pass"
    (against,) = record.models[0].against
    assert against.summary.verdict == "no-evidence"
    assert against.tested > 0.8
    assert against.log10_reach < -6


def test_a_sketch_at_the_gate_never_passes(small, tmp_path):
    command("sketch", small / "stranger", "--out", tmp_path)
    record = check(tmp_path / "stranger.sketch.safetensors", deny=[small / "root"])
    assert record.outcome == "incomplete"
    assert "only a sample" in record.findings[0].sentence


def test_bytes_of_a_file_that_belong_to_no_tensor_are_named(small, tmp_path):
    import torch
    from safetensors.torch import load_file

    where = tmp_path / "m.pt"
    torch.save(load_file(small / "stranger" / "model.safetensors"), where)
    assert check(where, deny=[small / "root"]).outcome == "pass"
    with zipfile.ZipFile(where, "a") as archive:
        archive.writestr("m/data/999", b"\1" * 200_000)
    record = check(where, deny=[small / "root"])
    assert record.outcome == "incomplete"
    assert "belong to no tensor" in record.findings[0].sentence


@pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf"), 1e-320])
def test_a_policy_that_can_find_nothing_is_refused(small, alpha):
    with pytest.raises(UsageError, match="alpha must be"):
        check(small / "good", Policy(alpha=alpha), deny=[small / "root"])
    with pytest.raises(UsageError, match="is off"):
        check(small / "good", Policy(levels={"forbidden-ancestor": "off"}), deny=[small / "root"])
    with pytest.raises(UsageError, match="an empty name"):
        check(small / "good", deny=[" "])


def test_stacks_that_were_not_compared_are_no_pass(tmp_path, monkeypatch):
    """Of many networks in one file only so many are compared: what is left out is said."""
    rng = np.random.default_rng(31)
    arrays = {}
    for name in ("a.", "b.", "c."):
        arrays |= {name + key: value for key, value in base(rng).items()}
    where, forbidden = write(tmp_path / "many", arrays), write(tmp_path / "bad", base(rng))
    policy = Policy(forbidden_ancestors=(str(forbidden),))
    monkeypatch.setattr("weightkin.evidence.stacks.MAX_PAIRINGS", 2)
    record = check(where, policy)
    assert record.outcome == "incomplete"
    assert "more stacks of blocks than are compared" in record.models[0].findings[0].sentence


@pytest.mark.parametrize("names", [("a.", "b."), ("", "teacher."), ("a.", "b.", "c.")])
def test_of_several_networks_each_counts_as_reached(tmp_path, names):
    rng = np.random.default_rng(32)
    arrays, forbidden = {}, base(rng)
    for name in names:
        arrays |= {name + key: value for key, value in base(rng).items()}
    where, bad = write(tmp_path / "several", arrays), write(tmp_path / "bad", forbidden)
    record = check(where, deny=[bad])
    assert record.outcome == "pass"
    assert record.models[0].against[0].tested > 0.9
    last = {f"{names[-1]}{key}": value for key, value in forbidden.items()}
    assert check(write(tmp_path / "copy", {**arrays, **last}), deny=[bad]).outcome == "hit"
