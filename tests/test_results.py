"""Claim: results are run once for each state of their code, one by one; claims come in parts."""

import re

import pytest
from benchmarks.lib import code, result_pages, results
from benchmarks.lib.result_pages import PAGES, Section

from tests.conftest import PARTS, ROOT, part, parts


@pytest.fixture
def sections(monkeypatch):
    """Two sections that count how often they ran, the second of which fails at first."""
    ran = []

    def first():
        ran.append("first")
        return [f"Run {len(ran)}. It is the first.", "", "### A part", "", "text"]

    def second():
        ran.append("second")
        if ran.count("second") == 1:
            raise KeyboardInterrupt
        return ["| a | b |", "|---|---|", "| 1 | 2 |"]

    made = {
        "one": Section("zoo", "First", first, lambda x: x.sentence(), "benchmarks.lib.tables"),
        "two": Section(
            "zoo", "Second", second, lambda x: x.rows("a")[0]["b"], "benchmarks.lib.tables"
        ),
    }
    monkeypatch.setattr(results, "SECTIONS", made)
    return made, ran


def test_a_run_that_was_stopped_goes_on_with_what_is_missing(sections, tmp_path, monkeypatch):
    made, ran = sections
    page = tmp_path / "results" / "zoo.md"
    with pytest.raises(KeyboardInterrupt):
        results.update(made, tmp_path)
    assert "Run 1" in page.read_text()
    results.update(made, tmp_path)
    assert ran == ["first", "second", "second"]
    results.update(made, tmp_path)
    assert ran == ["first", "second", "second"]
    results.update(made, tmp_path, again=True)
    assert ran[3:] == ["first", "second"]
    monkeypatch.setattr(results, "code_hash", lambda *_: "0" * 12)  # the code is another one
    results.update(made, tmp_path)
    assert ran[5:] == ["first", "second"]
    assert page.read_text().index("Run 6") < page.read_text().index("| a | b |")


def test_the_front_page_has_a_row_for_each_section_that_has_run(sections, tmp_path):
    made, _ = sections
    with pytest.raises(KeyboardInterrupt):
        results.update(made, tmp_path)
    front = (tmp_path / "results.md").read_text()
    row = "| [First](results/zoo.md#first) | Run 1 | "
    assert f"| **[{PAGES['zoo']}](results/zoo.md)** |  |  |\n{row}" in front
    assert "No result is stored of: Second." in front
    results.update(made, tmp_path)
    front = (tmp_path / "results.md").read_text()
    assert "| [Second](results/zoo.md#second) | 2 |" in front
    assert "No result is stored" not in front


def test_a_front_page_that_a_stopped_run_left_behind_is_made_anew(sections, tmp_path):
    made, _ = sections
    results.update({"one": made["one"]}, tmp_path)
    front = (tmp_path / "results.md").read_text()
    (tmp_path / "results.md").write_text("old")
    results.update({"one": made["one"]}, tmp_path)
    assert (tmp_path / "results.md").read_text() == front


def test_a_text_without_a_finding_does_not_stop_the_others(sections, tmp_path, capsys):
    made, _ = sections
    for section in made.values():
        result_pages.store(section, "Nothing measured", made.values(), tmp_path)
    front = (tmp_path / "results.md").read_text()
    assert "[First](results/zoo.md#first) | Nothing measured | not recorded |" in front
    assert "[Second](results/zoo.md#second) | see there |" in front
    assert "Second: no finding: no table with the columns a" in capsys.readouterr().err


def test_texts_come_back_as_they_were_stored(sections, tmp_path):
    made, _ = sections
    texts = {"First": "*note*\n\n### Part\n\n| a |\n|---|\n| 1 |", "Second": "plain"}
    for section in made.values():
        result_pages.store(section, texts[section.title], made.values(), tmp_path)
    assert result_pages.stored_texts(tmp_path) == texts


def test_the_hash_is_over_what_a_benchmark_imports_and_nothing_else():
    names = {path.name for path in code.files_of("benchmarks.claims.formats")}
    assert {"writers.py", "tables.py"} <= names
    assert "kinds.py" not in names
    assert code.code_hash("benchmarks.claims.formats") != code.code_hash("benchmarks.claims.kinds")
    assert len(code.files_of("benchmarks.claims.cases")) > 10


def test_every_section_has_a_page_code_and_data():
    for section in results.SECTIONS.values():
        assert section.page in PAGES
        assert code.files_of(section.module)
        assert all((code.ROOT / path).is_file() for path in section.data)
    assert {x.page for x in results.SECTIONS.values()} == PAGES.keys()


def test_a_changed_file_changes_the_hash(tmp_path):
    before = code.code_hash("benchmarks.lib.tables", library=tmp_path)
    (tmp_path / "controls.json").write_text("{}")
    after = code.code_hash("benchmarks.lib.tables", library=tmp_path)
    assert len({before, after, code.code_hash("benchmarks.lib.tables")}) == 3


def test_where_the_checkout_lies_is_no_part_of_the_hash(tmp_path, monkeypatch):
    found = set()
    for name in ("one", "two"):
        root = tmp_path / name
        (root / "zoo").mkdir(parents=True)
        (root / "src").mkdir()
        for file in ("constraints.txt", "zoo/truth.json", "src/a.py"):
            (root / file).write_text("{}")
        monkeypatch.setattr(code, "ROOT", root)
        found.add(code.code_hash(library=root / "src"))
    assert len(found) == 1


def test_a_commit_and_the_rest_are_all_parts():
    every = set(range(PARTS))
    assert parts("all") == every
    assert parts("commit") | parts("rest") == every
    assert len(parts("commit")) == 1
    assert [parts(str(k)) for k in every] == [{k} for k in every]
    with pytest.raises(pytest.UsageError, match="CLAIMS is 'half'"):
        parts("half")


def test_a_test_that_is_no_claim_is_in_every_part(request):
    assert part(request.node) is None


@pytest.mark.claim("a name", part=1)
def test_a_claim_is_in_one_part(request):
    assert part(request.node) == 1


def test_the_figures_of_which_tool_when_stand_in_the_results():
    """Counts of that table are read from pages that a claim writes, so they cannot go stale."""
    pages = [ROOT / "docs" / "results.md", *(ROOT / "docs" / "results").glob("*.md")]
    results = " ".join(x.read_text("utf-8") for x in pages)
    table = (ROOT / "docs" / "comparison.md").read_text("utf-8").partition("## ")[0]
    counts = set(re.findall(r"\d[\d,]* of \d[\d,]*\d", table))
    assert len(counts) >= 5
    assert [x for x in counts if x not in results] == []
