"""Claim: `--html FILE` adds a page to what is printed, and never writes where it could hurt."""

import html
import re
import sys
from pathlib import Path

import pytest

from tests.report import records
from weightkin.cli.main import main

MODELS = Path(__file__).parents[2] / "zoo" / "models"
A, B = str(MODELS / "vit-a"), str(MODELS / "vit-a-ft1")


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a command line: exit code, output, errors."""

    def go(*words):
        monkeypatch.setattr(sys, "argv", ["weightkin", *map(str, words)])
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return ended.value.code, said.out, said.err

    return go


@pytest.mark.parametrize("verb", ["compare", "locate", "tree"])
def test_the_page_comes_beside_what_is_printed(run, tmp_path, verb):
    target = tmp_path / "it's.html"
    cache = ("--cache", tmp_path / "sketches") if verb == "tree" else ()
    code, out, err = run(verb, A, B, "--html", target, *cache)
    assert code == 0
    assert err.startswith("weightkin: wrote ")
    text = target.read_text(encoding="utf-8")
    heading = re.search(r"<h1>(.*?)</h1>", text)[1]
    plain = html.unescape(re.sub(r"<[^>]*>", "", heading))
    assert plain == out.splitlines()[verb == "compare"]
    assert html.escape(out.splitlines()[0], quote=False) in re.sub(r"</?span[^>]*>", "", text)
    assert f"weightkin {verb} {A} {B}" in text
    assert "--html" not in text.split('id="recompute"')[1].split("<footer")[0]  # no path of ours


def test_search_and_trace_write_pages_too(run, tmp_path):
    store = ("--registry", tmp_path / "models.db")
    assert run("add", A, B, *store)[0] == 0
    for verb in ("search", "trace"):
        target = tmp_path / f"{verb}.htm"
        assert run(verb, "vit-a-ft1", *store, "--html", target)[0] == 0
        assert "vit-a-ft1: 1 relative among" in target.read_text(encoding="utf-8")


def test_title_reference_and_author_are_printed_on_the_report_alone(run, tmp_path):
    target = tmp_path / "page.html"
    saved = tmp_path / "record.json"
    fields = ("--title", "Exhibit 4", "--reference", "2:26-cv-01234", "--author", "J. Doe")
    pair = ("compare", A, B, "--effort", "quick")
    assert run(*pair, "--json", "--output", saved, "--html", target, *fields)[0] == 0
    first = target.read_text(encoding="utf-8").split("<main")[1].split("<section")[0]
    for words in (*fields[1::2], "ViTForImageClassification"):
        assert words in first
    recompute = target.read_text(encoding="utf-8").split('id="recompute"')[1]
    assert not any(words in saved.read_text() + recompute for words in fields)
    assert run("render", saved, "--html", target, *fields)[0] == 0
    assert "ViTForImageClassification" in target.read_text(encoding="utf-8")  # it is at hand
    saved.write_text(saved.read_text().replace('"digest": "wk1-', '"digest": "wk1-0'))
    assert run("render", saved, "--html", target)[0] == 0
    assert "ViTForImageClassification" not in target.read_text(encoding="utf-8")
    code, out, err = run(*pair, "--title", "Exhibit 4")
    assert (code, out) == (4, "")
    assert "give --html FILE too" in err


def test_pictures_come_beside_what_is_printed(run, tmp_path, monkeypatch):
    svg, png, saved = (tmp_path / x for x in ("a.svg", "a.png", "a.json"))
    code, out, err = run("compare", A, B, "--effort", "quick", "--svg", svg, "--png", png, "--json")
    assert (code, err) == (0, f"weightkin: wrote {svg}\nweightkin: wrote {png}\n")
    saved.write_text(out)
    assert "These two models share weights" in svg.read_text()
    assert png.read_bytes().startswith(b"\x89PNG")
    before = svg.read_bytes()
    assert run("render", saved, "--svg", svg)[0] == 0
    assert svg.read_bytes() == before
    assert "the name must end in .svg" in run("render", saved, "--svg", png)[2]
    checked = tmp_path / "check.json"
    checked.write_text(records.check().to_json())
    assert "has no picture" in run("render", checked, "--svg", svg)[2]
    monkeypatch.setattr("weightkin.cli.reports.find_spec", lambda name: None)
    assert "pip install 'weightkin[png]', or use --svg" in run("render", saved, "--png", png)[2]


def test_a_check_writes_a_page_with_each_finding(run, tmp_path):
    target = tmp_path / "check.html"
    code, out, _ = run("check", B, "--deny", A, "--html", target)
    assert code == 1
    text = target.read_text(encoding="utf-8")
    assert html.unescape(re.search(r"<h1>(.*?)</h1>", text)[1]) == out.splitlines()[1]
    assert "forbidden-ancestor" in text
    assert f"weightkin check {B} --deny {A}" in text


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("{tmp}/page.json", "the name must end in .html or .htm"),
        ("{tmp}/model.safetensors", "the name must end in .html or .htm"),
        ("{tmp}/none/page.html", "not a file in a folder that exists"),
        ("{tmp}/folder.html", "not a file in a folder that exists"),
        (f"{A}/page.html", f"inside the model {A}"),
    ],
)
def test_a_page_that_could_hurt_is_refused_before_anything_is_read(run, tmp_path, target, why):
    (tmp_path / "folder.html").mkdir()
    code, out, err = run("compare", A, B, "--html", target.format(tmp=tmp_path))
    assert (code, out) == (4, "")
    assert why in err
    assert len(err.splitlines()) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_page_that_cannot_be_written_leaves_the_printed_result(run, tmp_path):
    target = tmp_path / "page.html"
    target.symlink_to("/dev/full")
    code, out, err = run("compare", A, B, "--effort", "quick", "--html", target)
    assert code == 2
    assert out.startswith("dependent")
    assert err == f"weightkin: {target}: cannot be written (No space left on device)\n"
