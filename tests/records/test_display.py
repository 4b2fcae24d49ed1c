"""Claim: results are one short line in a prompt, and show themselves in notebooks and as tables."""

import inspect
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from html import escape
from types import SimpleNamespace

import numpy as np
import pytest

import weightkin
import weightkin.formats
import weightkin.policy
import weightkin.registry
from tests import families, models
from tests.report import records
from weightkin import Registry
from weightkin.errors import UsageError
from weightkin.records.checking import Ancestor, Finding
from weightkin.records.descendants import Descendant, Descendants
from weightkin.records.registry import Registered, Step
from weightkin.records.sketching import Sketching
from weightkin.report.terminal import printable


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One of each kind of result."""
    rng = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("display")
    arrays = models.base(rng)
    a = models.write(folder / "a", arrays)
    b = models.write(folder / "b\n\x1b[31m", models.child(arrays, rng))
    registry = Registry(folder / "registry.sqlite")
    adding = registry.add([str(a)])
    trace = registry.trace(b)
    descendants = registry.descendants(a)
    return {
        "Comparison": weightkin.compare(a, b),
        "Location": weightkin.locate(a, b),
        "FamilyGraph": weightkin.family_graph([a, b]),
        "Registry": registry,
        "Adding": adding,
        "Listing": registry.listing(),
        "Registered": registry.list()[0],
        "Search": trace.search,
        "Relative": trace.search.relatives[0],
        "Trace": trace,
        "Descendants": descendants,
        "Check": weightkin.check(b, deny=[str(a)]),
        "Policy": weightkin.Policy(forbidden_ancestors=(str(a),) * 9, secret="env:KEY"),
        "Estimate": weightkin.estimate(a),
        "Model": weightkin.open_model(b),
        "Sketch": weightkin.take_sketch(b),
        "Sketching": Sketching(sketches=(), skipped=(), version="1"),
        "Anatomy": weightkin.read_anatomy(b),
    }


KINDS = ("Comparison", "Location", "FamilyGraph", "Registry", "Adding", "Listing", "Registered",
         "Search", "Relative", "Trace", "Descendants", "Check", "Policy", "Estimate", "Model",
         "Sketch", "Sketching", "Anatomy")  # fmt: skip
SHOWN = ("Comparison", "Location", "FamilyGraph", "Adding", "Listing", "Search", "Trace",
         "Descendants", "Check", "Estimate", "Sketching")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_one_short_line(results, kind):
    said = repr(results[kind])
    assert said.isprintable()
    assert len(said) <= 180
    assert said.startswith(f"<{kind} ")


def inside(value):
    """A record and all records in it."""
    if is_dataclass(value):
        yield value
        for x in fields(value):
            yield from inside(getattr(value, x.name))
    elif isinstance(value, tuple):
        for x in value:
            yield from inside(x)


LONG = "m\n\x1b[31m\u202e" * 400
WRITTEN = (records.comparison, records.location, records.search, records.trace, records.check)


@pytest.mark.parametrize("make", WRITTEN)
def test_whatever_a_record_holds_is_one_short_line_too(make):
    kinds = set()
    for x in inside(make(LONG)):
        kinds.add(type(x).__name__)
        assert repr(x).isprintable()
        assert len(repr(x)) <= 180, type(x)
        assert repr(x).startswith(f"<{type(x).__name__}")
    assert len(kinds) > 3


def test_a_line_has_what_says_something_and_no_secret(results):
    model = results["Registered"]
    assert repr(model).startswith("<Registered id=1, name='a', source=")
    assert "licence" not in repr(model)
    assert repr(replace(model, declared_parents=("x", "y"))).endswith(", declared_parents: 2>")
    ancestor = Ancestor(name="root", id=7)
    assert repr(ancestor) == "<Ancestor name='root', id=7>"
    finding = Finding(rule="forbidden-ancestor", level="error", state="hit", code="made-from",
                      fingerprint="0f", ancestor=ancestor)  # fmt: skip
    assert repr(finding).endswith("fingerprint='0f', ancestor='root'>")
    assert repr(results["Policy"]) == "<Policy forbidden_ancestors: 9>"
    assert repr(weightkin.Options()) == "<Options>"
    given = weightkin.Options(relatives=({"w": np.zeros(2)},) * 2, published=99)
    assert repr(given) == "<Options relatives: 2, published=99>"


def test_the_line_says_what_was_found():
    said = repr(records.comparison())
    assert said.startswith("<Comparison of 'block.0' and 'b': dependent (exact, log10 p -504.3)")
    assert said.endswith("quantised, parent a; 1 test, 1 skipped>")
    said = "<FamilyGraph 8 nodes (1 unobserved), 6 edges (1 undetermined), 1 family"
    assert repr(families.small()).startswith(said)
    edge = families.small().edges[0]
    assert repr(edge).startswith(f"<FamilyEdge '{edge.parent}' -> '{edge.child}': {edge.kind}")


def test_names_are_the_public_ones():
    assert dir(weightkin) == sorted([*weightkin.__all__, "__version__"])
    for name in dir(weightkin):
        assert getattr(weightkin, name) is not None
    for module in (weightkin.records, weightkin.registry, weightkin.formats, weightkin.policy):
        assert dir(module) == sorted(module.__all__)


@pytest.mark.parametrize("kind", SHOWN)
def test_a_notebook_shows_the_answer_in_words_first(results, kind):
    record = results[kind]
    shown = record._repr_html_()
    assert shown.startswith(f"<p><strong>{escape(printable(record.sentence))}</strong></p>")
    words, _, report = shown.partition("<iframe")
    assert "\x1b" not in words
    has_report = kind in ("Comparison", "Location", "FamilyGraph", "Search", "Trace", "Check")
    assert bool(report) == has_report
    assert words.endswith("<details><summary>Report</summary>") == has_report


def test_a_notebook_shows_models_and_registries_as_their_commands_do(results, tmp_path):
    listed, empty = results["Registry"]._repr_html_(), Registry(tmp_path / "none")
    assert listed == results["Registry"].listing()._repr_html_()
    assert empty._repr_html_() is None
    for kind in ("Model", "Sketch"):
        shown = results[kind]._repr_html_()
        assert "\x1b" not in shown
        assert "wk1-" in shown.partition("<pre>")[2]
    gone = weightkin.open_model(
        models.write(tmp_path / "gone", models.base(np.random.default_rng(5)))
    )
    for file in (tmp_path / "gone").iterdir():
        file.unlink()
    assert "no such file" in gone._repr_html_()
    held = weightkin.open_model(models.base(np.random.default_rng(5)))
    assert "<pre>" in held._repr_html_()


def test_a_notebook_says_what_part_of_a_record_says(results):
    relative = results["Relative"]
    said = escape(printable(relative.sentence))
    assert relative._repr_html_() == f"<p><strong>{said}</strong></p>"


def test_a_notebook_says_the_same_as_the_command(results):
    shown = results["Comparison"]._repr_html_()
    assert "These two models share weights" in shown.partition("<iframe")[0]
    assert results["Comparison"].sentence.startswith("dependent (p ")
    assert results["Adding"].sentence == "1 added, 0 already registered"
    assert results["Listing"].sentence.startswith("1 model")
    assert results["Sketching"].sentence == "0 files written"
    assert results["Estimate"].sentence.endswith(" bytes of 1 model would be read")


def test_notebooks_draw_records_however_they_were_imported():
    code = (
        "from weightkin.records.registry import Search; import sys;"
        "x = Search(name='m', source='m', digest='d', n_scanned=0, n_compared=0, alpha=1e-6,"
        " paid_alpha=1e-6, relatives=());"
        "assert 'weightkin.report' not in sys.modules;"
        "print(x._repr_html_()[:11])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("<p><strong>\n", "")


def test_a_family_becomes_a_graph_of_networkx():
    graph = families.small()
    found = graph.to_networkx()
    assert set(found.nodes) == {node.id for node in graph.nodes}
    assert set(found.edges) == {(edge.parent, edge.child) for edge in graph.edges}
    edge = graph.edges[0]
    assert found.edges[edge.parent, edge.child]["kind"] == edge.kind
    assert found.nodes[graph.nodes[0].id]["digest"] == graph.nodes[0].digest


def test_descendants_become_a_graph_of_networkx():
    one, two = (Registered(id=i, name=f"m{i}", source=f"m{i}", revision="", digest=f"d{i}",
                           full_digest="", added="") for i in (2, 3))  # fmt: skip
    first = Step(parent="root", child="m2", parent_id=1, child_id=2, kind="fine-tuned")
    second = Step(parent="m2", child="m3", parent_id=2, child_id=3, kind="quantised")
    known = {"determined": True, "probability": 0.9, "log10_pvalue": -9.0}
    found = (Descendant(model=one, path=(first,), **known),
             Descendant(model=two, path=(first, second), **known))  # fmt: skip
    record = Descendants(name="root", source="root", digest="d1", alpha=1e-6, n_scanned=3,
                         descendants=found)  # fmt: skip
    graph = record.to_networkx()
    assert list(graph.edges) == [("root", "m2"), ("m2", "m3")]
    assert graph.edges["m2", "m3"]["kind"] == "quantised"
    assert graph.nodes["m3"]["id"] == 3
    assert [x for x, is_marked in graph.nodes(data="marked") if is_marked] == ["root"]
    alone = replace(record, descendants=())
    assert list(alone.to_networkx().nodes) == ["root"]


class Frame:
    """A table, as far as it is used here."""

    def __init__(self, cells, columns):
        self.cells, self.columns = cells, columns
        assert all(len(row) == len(columns) for row in cells)

    def column(self, name):
        return [row[self.columns.index(name)] for row in self.cells]


@pytest.fixture
def tables(monkeypatch):
    """A stand-in for pandas, which says what it is called with."""
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=Frame))


TABLES = ("FamilyGraph", "Search", "Trace", "Descendants", "Listing", "Adding", "Check",
          "Location", "Estimate", "Sketching")  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_has_the_columns_that_are_documented(results, tables, kind):
    documented = inspect.getdoc(type(results[kind]).to_pandas).partition("Columns: ")[2]
    without_remarks = re.sub(r"\([^)]*\)", "", documented)
    found = results[kind].to_pandas()
    assert found.columns == re.findall(r"``(\w+)``", without_remarks)


def test_tables_hold_what_records_do(results, tables):
    edges = families.small().to_pandas()
    assert edges.column("parent") == [edge.parent for edge in families.small().edges]
    assert results["Search"].to_pandas().column("name") == ["a"]
    assert results["Search"].to_pandas().column("kind") == ["fine-tuned"]
    assert results["Adding"].to_pandas().column("state") == ["added"]
    assert results["Listing"].to_pandas().column("n_parameters")[0] > 0
    (finding,) = results["Check"].findings
    assert results["Check"].to_pandas().column("sentence") == [finding.sentence]
    assert results["Check"].to_pandas().column("ancestor") == ["a"]


def test_the_lists_of_a_comparison_become_tables(results, tables):
    record = results["Comparison"]
    text = inspect.getdoc(type(record).to_pandas)
    for rows, items in (("parts", record.parts), ("axes", record.axes), ("tests", record.tests),
                        ("blocks", record.layers)):  # fmt: skip
        found = record.to_pandas(rows)
        assert len(found.cells) == len(items)
        documented = re.sub(r"\([^)]*\)", "", text.partition(f"``{rows}``:")[2].partition(".")[0])
        assert found.columns == re.findall(r"``(\w+)``", documented)
    assert record.to_pandas().columns == record.to_pandas("parts").columns
    with pytest.raises(UsageError, match="rows is 'x', not one of parts, axes, tests, blocks"):
        record.to_pandas("x")


@pytest.mark.parametrize(("method", "package"), [("to_pandas", "pandas"),
                                                 ("to_networkx", "networkx")])  # fmt: skip
def test_a_package_that_is_missing_is_one_line(monkeypatch, method, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=f"{method} needs {package}: pip install {package}"):
        getattr(families.small(), method)()
