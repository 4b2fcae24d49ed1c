"""Claim: what the documents show is what runs; the site builds; no link is dead."""

from __future__ import annotations

import doctest
import importlib
import os
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from mdit_py_plugins.anchors.index import slugify

import weightkin

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "benchmarks" / "README.md"])
WITH_EXAMPLES = sorted(p for p in (ROOT / "src").rglob("*.py") if ">>>" in p.read_text())


def commands(page):
    """Each command of a page's consoles, with the lines it shows; a backslash continues one."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", page.read_text(), re.M | re.S):
        for line in block.replace("\\\n", "").splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def fits(shown, printed):
    """Whether lines are as shown; ``...`` stands for anything, alone for any number of lines."""
    pattern = ""
    for line in shown:
        words = ".*".join(map(re.escape, line.split("...")))
        pattern += r"(?:.*\n)*?" if line == "..." else rf"{words}\n"
    return re.fullmatch(pattern, printed) is not None


SHOWN = [c for page in ("docs/quickstart.md", "README.md") for c in commands(ROOT / page)]
ELSEWHERE = sorted(p.name for p in DOCS.glob("*.md") if p.name != "quickstart.md" and commands(p))


def test_the_comparison_of_lines_can_fail():
    assert fits(["a", "...", "d...f"], "a\nb\nc\ndef\n")
    assert fits(["a", "..."], "a\n")
    assert fits(["...", "4...", "b"], "a\n4 c\nb\n")
    assert not fits(["a", "...", "x"], "a\nb\n")
    assert not fits(["a"], "a\nb\n")
    assert not fits(["a"], "b\na\n")


@pytest.fixture(scope="module")
def desk(zoo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    (folder / "zoo").symlink_to(zoo)
    return folder


def check(command, shown, folder):
    """Run a command of a page in a folder; it prints what is shown."""
    line = re.sub(r"^weightkin\b", f"{sys.executable} -m weightkin", command)
    env = {
        **os.environ,
        "COLUMNS": "80",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONPATH": str(ROOT / "src"),
    }
    done = subprocess.run(line, shell=True, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert fits(shown, done.stdout), done.stdout


@pytest.mark.parametrize(("command", "shown"), SHOWN)
def test_commands_do_what_is_shown(desk, command, shown):
    check(command, shown, desk)


def of_its_own(page):
    """A page whose commands are a claim: one after the other, in one folder."""
    return pytest.param(page, marks=pytest.mark.claim(f"page {page}"))


@pytest.mark.parametrize("page", [of_its_own(page) for page in ELSEWHERE])
def test_commands_of_a_page_do_what_is_shown(zoo, tmp_path, page):
    (tmp_path / "zoo").symlink_to(zoo)
    for command, shown in commands(DOCS / page):
        check(command, shown, tmp_path)


def test_there_is_a_page_for_each_kind_of_reader():
    index = (DOCS / "index.md").read_text()
    for page in ("for-operators", "for-lawyers", "for-researchers", "for-developers"):
        assert f"{page}.md" in ELSEWHERE
        assert f"({page}.md)" in index
        headings = re.findall(r"^## (\d)\. ", (DOCS / f"{page}.md").read_text(), re.M)
        assert headings == ["1", "2", "3"]
    assert {"index.md", "gallery.md"} <= set(ELSEWHERE)


def test_pages_that_use_derived_models_say_how_to_build_them():
    shown = [p for p in PAGES if any("zoo/derived/" in x for x, _ in commands(p))]
    assert {"for-developers.md", "gallery.md", "quickstart.md"} <= {p.name for p in shown}
    assert [p.name for p in shown if "python zoo/derive.py" not in p.read_text()] == []


def test_every_picture_is_shown_and_says_what_it_shows():
    pages = [page.read_text() for page in PAGES]
    shown = {x for text in pages for x in re.findall(r"!\[[^\]]{10,}\]\(([^)]+)\)", text)}
    made = {f"pictures/{p.name}" for p in (DOCS / "pictures").glob("*.png")}
    assert made <= shown


def test_the_page_of_commands_is_up_to_date():
    done = subprocess.run(
        [sys.executable, "-c", "import cli_page as c; print(c.page() == c.PAGE.read_text())"],
        env={**os.environ, "PYTHONPATH": f"{DOCS}{os.pathsep}{ROOT / 'src'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True\n", "run: python docs/cli_page.py"


@cache
def anchors(page):
    """Names of the headings of a page, as the site and the usual hosts make them."""
    found = Counter()
    names = set()
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    for title in re.findall(r"^#+ (.+)$", text, re.M):
        name = slugify(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title))
        names.add(f"{name}-{found[name]}" if found[name] else name)
        found[name] += 1
    return names


def dead_links(page):
    """Relative links of a page to files or headings that are not there."""
    found = []
    for target, heading in re.findall(r"\[[^\]]*\]\(([^)#\s]*)(?:#([^)]*))?\)", page.read_text()):
        place = page.parent / target if target else page
        if "://" in target or target.startswith("mailto:"):
            continue
        if not place.exists() or (heading and heading not in anchors(place)):
            found.append(f"{target}#{heading}")
    return found


def test_the_check_of_links_can_fail(tmp_path):
    other = tmp_path / "other.md"
    other.write_text("# One `title`\n\n## Twice\n\n## Twice\n")
    page = tmp_path / "page.md"
    links = [
        "other.md",
        "other.md#one-title",
        "other.md#twice-1",
        "other.md#twice-2",
        "#own",
        "no.md",
    ]
    page.write_text("## Own\n\n" + "\n".join(f"[a]({x})" for x in links))
    assert dead_links(page) == ["other.md#twice-2", "no.md#"]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert not dead_links(page)


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda p: p.stem)
def test_examples_in_docstrings_hold(path):
    name = ".".join(path.relative_to(ROOT / "src").with_suffix("").parts)
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted
    assert not results.failed


def test_the_site_builds_without_a_warning(tmp_path):
    args = ["-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(tmp_path)]
    done = subprocess.run([sys.executable, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    index = (tmp_path / "index.html").read_text()
    assert "quickstart.html" in index
    assert f"weightkin {weightkin.__version__}" in index
    assert 'action="search.html"' in index
    assert "weightkin.compare" in (tmp_path / "api.html").read_text()
