"""Claim: results are one short line in a prompt, and show themselves in notebooks and as tables."""

import subprocess
import sys

import pytest

import weightkin
from tests import families, models
from tests.report import records
from weightkin import Registry
from weightkin.errors import UsageError


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """One of each kind of result."""
    import numpy as np

    rng = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("display")
    arrays = models.base(rng)
    a = models.write(folder / "a", arrays)
    b = models.write(folder / "b\n\x1b[31m", models.child(arrays, rng))
    registry = Registry(folder / "registry.sqlite")
    adding = registry.add([str(a)])
    trace = registry.trace(b)
    return {
        "Comparison": weightkin.compare(a, b),
        "Location": weightkin.locate(a, b),
        "FamilyGraph": weightkin.family_graph([a, b]),
        "Registry": registry,
        "Adding": adding,
        "Search": trace.search,
        "Relative": trace.search.relatives[0],
        "Trace": trace,
        "Check": weightkin.check(b, deny=[str(a)]),
        "Estimate": weightkin.estimate(a),
        "Model": weightkin.open_model(b),
        "Sketch": weightkin.take_sketch(b),
        "Anatomy": weightkin.read_anatomy(b),
    }


KINDS = ("Comparison", "Location", "FamilyGraph", "Registry", "Adding", "Search", "Relative",
         "Trace", "Check", "Estimate", "Model", "Sketch", "Anatomy")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_one_short_line(results, kind):
    said = repr(results[kind])
    assert said.isprintable()
    assert len(said) <= 160
    assert said.startswith(f"<{kind} ") or said.startswith(f"<{kind}: ")


def test_the_line_says_what_was_found():
    assert repr(records.comparison()).startswith("<Comparison dependent (exact, log10 p ")
    said = "<FamilyGraph 8 nodes (1 unobserved), 6 edges (1 undetermined), 1 family"
    assert repr(families.small()).startswith(said)
    edge = families.small().edges[0]
    assert repr(edge).startswith(f"<FamilyEdge '{edge.parent}' -> '{edge.child}': {edge.kind}")


def test_notebooks_draw_records_however_they_were_imported():
    code = (
        "from weightkin.records.registry import Search; import sys;"
        "x = Search(name='m', source='m', digest='d', n_scanned=0, n_compared=0, alpha=1e-6,"
        " paid_alpha=1e-6, relatives=());"
        "assert 'weightkin.report' not in sys.modules;"
        "print(x._repr_html_()[:7])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("<iframe\n", "")


def test_a_family_becomes_a_graph_of_networkx():
    graph = families.small()
    found = graph.to_networkx()
    assert set(found.nodes) == {node.id for node in graph.nodes}
    assert set(found.edges) == {(edge.parent, edge.child) for edge in graph.edges}
    edge = graph.edges[0]
    assert found.edges[edge.parent, edge.child]["kind"] == edge.kind
    assert found.nodes[graph.nodes[0].id]["digest"] == graph.nodes[0].digest


def test_edges_and_relatives_become_tables(results):
    pytest.importorskip("pandas")
    edges = families.small().to_pandas()
    assert list(edges["parent"]) == [edge.parent for edge in families.small().edges]
    relatives = results["Search"].to_pandas()
    assert list(relatives["model.name"]) == ["a"]


@pytest.mark.parametrize(("method", "package"), [("to_pandas", "pandas"),
                                                 ("to_networkx", "networkx")])  # fmt: skip
def test_a_package_that_is_missing_is_one_line(monkeypatch, method, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=f"{method} needs {package}: pip install {package}"):
        getattr(families.small(), method)()
