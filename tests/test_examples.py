"""Claim: the examples name commands, options and files that exist, and the image is linted."""

import re
import shutil
import subprocess

import pytest
import typer
import yaml

from tests.conftest import ROOT
from weightkin import __version__
from weightkin.cli.main import app

EXAMPLES = ROOT / "docs" / "examples"


def commands(text):
    """Every call of weightkin in a text, as words."""
    joined = re.sub(r"\\\n#?\s*", "", text)
    found = re.findall(r"(?:weightkin|entry: weightkin) +((?:check|import) [^\n\"']*)", joined)
    return [line.split() for line in found]


@pytest.mark.parametrize("name", ["github-workflow.yml", "pre-commit-config.yaml", "Dockerfile"])
def test_calls_in_examples_are_calls_of_the_command_line(name):
    group = typer.main.get_command(app)
    calls = commands((EXAMPLES / name).read_text())
    assert calls
    for verb, *words in calls:
        known = {option for x in group.commands[verb].params for option in x.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_the_workflow_uploads_whatever_the_gate_said():
    job = yaml.safe_load((EXAMPLES / "github-workflow.yml").read_text())["jobs"]["check"]
    *_, gate, upload = job["steps"]
    assert "--format sarif --output ../weights.sarif" in gate["run"]
    assert upload["if"].startswith("always()")
    assert upload["with"]["sarif_file"] == "weights.sarif"


def test_no_pull_request_chooses_its_own_rules():
    workflow = yaml.safe_load((EXAMPLES / "github-workflow.yml").read_text())
    assert workflow[True] == "pull_request_target"  # "on": the workflow of the base branch
    base, candidate, *steps = workflow["jobs"]["check"]["steps"]
    assert "base.sha" in base["with"]["ref"]
    assert "head.sha" in candidate["with"]["ref"]
    assert not any(x["with"]["persist-credentials"] for x in (base, candidate))
    runs = [x["run"] for x in steps if "run" in x]
    assert [x.split()[0] for x in runs] == ["pip", "weightkin", "weightkin"]
    assert runs[1].startswith("weightkin import base/")
    assert "--policy ../base/" in runs[2]
    hook = (EXAMPLES / "pre-commit-config.yaml").read_text()
    assert "git show origin/main:policy.toml" in hook
    for text in (runs[0], hook):
        assert f"weightkin=={__version__}" in text


def test_the_hook_is_one_that_pre_commit_can_run():
    (repo,) = yaml.safe_load((EXAMPLES / "pre-commit-config.yaml").read_text())["repos"]
    (hook,) = repo["hooks"]
    assert repo["repo"] == "local"
    assert {"id", "name", "entry", "language", "pass_filenames"} <= set(hook)
    assert re.search(hook["files"], "models/a/model.safetensors")
    assert not re.search(hook["files"], "docs/models.md")


def test_the_image_is_of_this_version_without_root_or_network():
    text = (EXAMPLES / "Dockerfile").read_text()
    assert f"weightkin=={__version__}" in text
    assert text.index("\nRUN") < text.index("\nUSER weightkin") < text.index("\nENTRYPOINT")
    assert "HF_HUB_OFFLINE=1" in text


def test_the_image_passes_the_linter():
    linter = shutil.which("dockerfilelint")
    if linter is None:
        pytest.skip("dockerfilelint is not installed")
    done = subprocess.run([linter, EXAMPLES / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
