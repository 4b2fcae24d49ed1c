"""Claim: results are run once for each state of their code, one by one; claims come in parts."""

import pytest
from benchmarks.lib import code, results
from benchmarks.lib.results import Section

from tests.conftest import PARTS, part, parts


@pytest.fixture
def sections():
    """Two sections that count how often they ran, the second of which fails at first."""
    ran = []

    def first():
        ran.append("first")
        return [f"run {len(ran)}"]

    def second():
        ran.append("second")
        if ran.count("second") == 1:
            raise KeyboardInterrupt
        return ["| a | b |"]

    titles = results.SECTIONS["zoo"].title, results.SECTIONS["laws"].title
    made = {
        "one": Section(titles[0], first, "benchmarks.lib.tables"),
        "two": Section(titles[1], second, "benchmarks.lib.tables"),
    }
    return made, ran


def test_a_run_that_was_stopped_goes_on_with_what_is_missing(sections, tmp_path, monkeypatch):
    made, ran = sections
    out = tmp_path / "results.md"
    with pytest.raises(KeyboardInterrupt):
        results.update(made, out)
    assert "run 1" in out.read_text()
    results.update(made, out)
    assert ran == ["first", "second", "second"]
    results.update(made, out)
    assert ran == ["first", "second", "second"]
    results.update(made, out, again=True)
    assert ran[3:] == ["first", "second"]
    monkeypatch.setattr(results, "code_hash", lambda *_: "0" * 12)  # the code is another one
    results.update(made, out)
    assert ran[5:] == ["first", "second"]
    assert out.read_text().index("run 6") < out.read_text().index("| a | b |")


def test_the_hash_is_over_what_a_benchmark_imports_and_nothing_else():
    names = {path.name for path in code.files_of("benchmarks.claims.formats")}
    assert {"writers.py", "tables.py"} <= names
    assert "kinds.py" not in names
    assert code.code_hash("benchmarks.claims.formats") != code.code_hash("benchmarks.claims.kinds")
    assert len(code.files_of("benchmarks.claims.cases")) > 10


def test_every_section_has_code_of_its_own():
    for section in results.SECTIONS.values():
        assert code.files_of(section.module)


def test_a_changed_file_changes_the_hash(tmp_path):
    before = code.code_hash("benchmarks.lib.tables", library=tmp_path)
    (tmp_path / "controls.json").write_text("{}")
    after = code.code_hash("benchmarks.lib.tables", library=tmp_path)
    assert len({before, after, code.code_hash("benchmarks.lib.tables")}) == 3


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
