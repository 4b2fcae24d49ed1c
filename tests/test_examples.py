"""Claim: the action, the hook, the image and the example workflow do what they say, as they are."""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pytest
import yaml

from tests.commands import command
from tests.conftest import ROOT
from tests.lineage.simulated import base, trained_on
from tests.policy.sarif_rules import check_sarif
from tests.registry.conftest import write
from weightkin.cli.formats import CheckFormat
from weightkin.records.checking import Check

ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
WORKFLOW = yaml.safe_load((ROOT / "docs" / "examples" / "github-workflow.yml").read_text())
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
PYTHON, INSTALL, CHECK = ACTION["runs"]["steps"]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A checkout with a model made from a forbidden one, and the policy that forbids it."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(5)
    root = base(rng)
    write(folder / "elsewhere" / "root", root)
    write(folder / "models" / "child", trained_on(root, rng))
    (folder / "policy.toml").write_text('[forbidden]\nancestors = ["elsewhere/root"]\n')
    return folder


def step(script, folder, **given):
    """Run the lines of a step as a runner does; what it left in the files of the job."""
    files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    for file in files.values():
        file.write_text("")
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        env={"PATH": "/usr/bin:/bin", "RUNNER_TEMP": str(folder), **given}
        | {name: str(file) for name, file in files.items()},
        cwd=given.get("HOME"),
        capture_output=True,
        text=True,
        check=False,
    )
    outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
    return done, outputs, files["GITHUB_STEP_SUMMARY"].read_text()


def program(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)


def test_the_action_installs_its_own_checkout_with_pinned_versions(tmp_path):
    program(
        tmp_path / "python", f'cp "$0" "$3/bin/python" 2>/dev/null || echo "$@" > {tmp_path}/said'
    )
    (tmp_path / "weightkin" / "bin").mkdir(parents=True)
    given = {"PYTHON": str(tmp_path / "python"), "GITHUB_ACTION_PATH": str(ROOT)}
    done, _, _ = step(INSTALL["run"], tmp_path, **given)
    assert done.returncode == 0, done.stderr
    words = (tmp_path / "said").read_text().split()
    assert words == f"-m pip install --quiet --constraint {ROOT}/constraints.txt {ROOT}".split()
    assert (ROOT / "constraints.txt").is_file()
    assert "steps.python.outputs.python-path" in INSTALL["env"]["PYTHON"]
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert tuple(map(int, PYTHON["with"]["python-version"].split("."))) >= tuple(
        map(int, needed.removeprefix(">=").split("."))
    )


def test_inputs_reach_the_action_as_values_and_never_as_lines_of_a_script():
    for x in (INSTALL, CHECK):
        assert "${{" not in x["run"]
    used = {name for text in CHECK["env"].values() for name in re.findall(r"inputs\.(\w+)", text)}
    assert used == set(ACTION["inputs"]) == {"models", "policy", "registry", "format"}
    assert ACTION["inputs"]["format"]["default"] in set(CheckFormat)
    assert all(x in ACTION["inputs"]["format"]["description"] for x in CheckFormat)
    assert {x["value"] for x in ACTION["outputs"].values()} == {
        "${{ steps.check.outputs.report }}",
        "${{ steps.check.outputs.record }}",
    }


@pytest.mark.claim("action")
def test_the_action_checks_summarises_and_keeps_the_exit_code(work, tmp_path):
    source = shlex.quote(str(ROOT / "src"))
    line = f'PYTHONPATH={source} exec {shlex.quote(sys.executable)} -m weightkin "$@"'
    program(tmp_path / "weightkin" / "bin" / "weightkin", line)
    given = {"HOME": str(work), "POLICY": "policy.toml", "REGISTRY": "", "FORMAT": "sarif"}
    done, outputs, summary = step(CHECK["run"], tmp_path, MODELS="models\n\n", **given)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("policy hit: 1 finding")
    assert summary.startswith("## weightkin check: policy hit: 1 finding")
    with open(outputs["record"]) as record, open(outputs["report"]) as report:
        assert Check.from_json(record.read()).outcome == "hit"
        (result,) = check_sarif(yaml.safe_load(report))
    where = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert where.startswith("models/child/")
    assert (work / where).is_file()
    assert not list(tmp_path.rglob("registry.sqlite"))
    command("add", work / "elsewhere" / "root", "--registry", tmp_path / "r.sqlite")
    command("export", tmp_path / "r.zip", "--registry", tmp_path / "r.sqlite")
    given["REGISTRY"] = str(tmp_path / "r.zip")
    done, outputs, summary = step(CHECK["run"], tmp_path, MODELS="none; touch x", **given)
    assert (done.returncode, outputs, summary) == (3, {}, ""), done.stderr
    assert not (work / "x").exists()
    assert list(tmp_path.rglob("registry.sqlite"))


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_the_lines_of_the_action_are_bash():
    for x in (INSTALL, CHECK):
        done = subprocess.run(["bash", "-n", "-c", x["run"]], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_workflow_gives_the_action_what_it_asks_for_and_uploads_in_any_case():
    *_, gate, upload = WORKFLOW["jobs"]["check"]["steps"]
    assert set(gate["with"]) == set(ACTION["inputs"])
    assert upload["if"] == f"always() && steps.{gate['id']}.outputs.report != ''"
    assert upload["with"]["sarif_file"] == f"${{{{ steps.{gate['id']}.outputs.report }}}}"


def test_no_pull_request_chooses_its_own_rules():
    assert WORKFLOW[True] == "pull_request_target"  # "on": the workflow of the base branch
    candidate, trusted, gate, _ = WORKFLOW["jobs"]["check"]["steps"]
    assert "head.sha" in candidate["with"]["ref"]
    assert "base.sha" in trusted["with"]["ref"]  # later: it replaces a folder of the same name
    assert not any(x["with"]["persist-credentials"] for x in (candidate, trusted))
    assert not any("run" in x for x in WORKFLOW["jobs"]["check"]["steps"])
    for name in ("policy", "registry"):
        assert gate["with"][name].startswith(f"{trusted['with']['path']}/")


@pytest.mark.claim("action")
def test_the_hook_stops_a_commit(work, monkeypatch):
    assert {"id", "name", "entry", "language"} <= set(HOOK)
    assert re.search(HOOK["files"], "models/a/model.safetensors")
    assert not re.search(HOOK["files"], "docs/models.md")
    monkeypatch.chdir(work)
    name, *words = [*shlex.split(HOOK["entry"]), *HOOK["args"]]
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert (HOOK["language"], HOOK["pass_filenames"], name in scripts) == ("python", False, True)
    done = command(*words)
    assert done.returncode == 1
    assert "forbidden-ancestor" in done.stdout


def test_the_image_has_all_that_it_is_built_from_and_no_root():
    joined = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [shlex.split(x) for x in joined.splitlines() if x and not x.startswith("#")]
    copied = [x for words in lines if words[:1] == ["COPY"] and "--from=build" not in words
              for x in words[1:-1]]  # fmt: skip
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    assert sent[0] == "*"
    assert all((ROOT / x).exists() and f"!{x}" in sent for x in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    fragments = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["fragments"]
    needed = [*project["project"]["license-files"], *(x["path"] for x in fragments), "src"]
    assert {*needed, "pyproject.toml", "constraints.txt"} <= set(copied)
    (build,) = [x for x in lines if "install" in x]
    assert build[build.index("--constraint") + 1] in copied
    verbs = [x[0] for x in lines]
    assert verbs[verbs.index("USER") :] == ["USER", "ENV", "WORKDIR", "ENTRYPOINT", "CMD"]
    assert lines[verbs.index("USER")][1] not in ("0", "root")


@pytest.mark.claim("action")
def test_the_image_runs_the_command_line(work, monkeypatch):
    text = (ROOT / "Dockerfile").read_text()
    assert 'ENTRYPOINT ["weightkin"]' in text
    (words,) = yaml.safe_load(re.search(r"^CMD (.*)$", text, re.M)[1])
    assert command(words).stdout.startswith("Usage: ")
    shown = re.sub(r"\\\n# +", "", text.split("FROM")[0])
    (asked,) = re.findall(r"docker run .* weightkin (check .*)", shown)
    monkeypatch.chdir(work)
    command("add", "elsewhere/root", "--registry", "registry.sqlite")
    assert command(*asked.split()).returncode == 1


def test_the_image_passes_the_linter():
    linter = shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
