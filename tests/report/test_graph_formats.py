"""Claim: graph files are read back by others as the same graph, whatever names say."""

import html
import io
import json
import re
from itertools import pairwise

import networkx
import pytest

from tests import families
from tests.report.test_tree import HOSTILE
from weightkin.records.family import FamilyEdge, FamilyNode
from weightkin.report.graph_formats import FORMATS, dot, gexf, graphml, mermaid, newick
from weightkin.report.terminal import printable

SYNTAX = [
    '"; n0 -> n0; "',
    "back\\slash\\",
    "\\",
    "it's",
    "[comment]",
    "(a,b);",
    "</data><evil/>",
    "&amp; &#0; ]]>",
    "`**bold**`",
    "<script>alert(1)</script>",
    "#quot; --> end",
    "%%{init}%%",
    "\ufffe\uffff\x00",
    "日本語",
]
NAMES = pytest.mark.parametrize("name", [*HOSTILE, *SYNTAX])


def edges_of(graph):
    return {(edge.parent, edge.child) for edge in graph.edges}


DOT_TOKEN = re.compile(r'\s+|->|[{}\[\];,=]|[A-Za-z_]\w*|"(?:[^"\\\n]|\\.)*"')


def _dot_escape(found):
    return "\n" if found[1] == "n" else found[1]


def read_dot(text):
    """Labels of nodes, and edges with their attributes, by a strict tokenizer."""
    tokens, at = [], 0
    while at < len(text):
        found = DOT_TOKEN.match(text, at)
        assert found, f"no token at {text[at : at + 30]!r}"
        at = found.end()
        tokens += [found.group()] if found.group().strip() else []
    assert tokens[:3] == ["digraph", "family", "{"]
    assert tokens[-1] == "}"
    nodes, edges, statement = {}, {}, []
    for token in tokens[3:-1]:
        if token != ";":
            statement.append(token)
            continue
        if "[" in statement and statement[0] != "node":
            at = statement.index("[")
            given = dict(zip(statement[at + 1 :: 4], statement[at + 3 :: 4], strict=True))
            label = re.sub(r"\\(.)", _dot_escape, given.pop("label")[1:-1])
            if statement[1] == "->":
                edges[statement[0], statement[2]] = (label, given)
            else:
                nodes[statement[0]] = (label, given)
        statement = []
    assert not statement
    return nodes, edges


def read_newick(text):
    """Trees as (label, length, children), and the comments."""
    comments = re.findall(r"(?m)^\[([^\]\n]*)\]$", text)
    tokens = re.findall(r"'(?:[^']|'')*'|[(),;]|:[-+.e\d]+", re.sub(r"(?m)^\[.*\]\n", "", text))
    assert "".join(tokens) == re.sub(r"(?m)^\[.*\]\n", "", text).replace("\n", "")
    at = 0

    def clade():
        nonlocal at
        children = []
        if tokens[at] == "(":
            at += 1
            children.append(clade())
            while tokens[at] == ",":
                at += 1
                children.append(clade())
            assert tokens[at] == ")"
            at += 1
        label = length = None
        if tokens[at].startswith("'"):
            label, at = tokens[at][1:-1].replace("''", "'"), at + 1
        if tokens[at].startswith(":"):
            length, at = float(tokens[at][1:]), at + 1
        return label, length, children

    trees = []
    while at < len(tokens):
        trees.append(clade())
        assert tokens[at] == ";"
        at += 1
    return trees, comments


def read_mermaid(text):
    lines = text.splitlines()
    assert lines[0] == "flowchart TD"
    nodes, edges = {}, {}
    for line in lines[2:]:
        node = re.fullmatch(r'  (n\d+)\["([-\w .,()=#;]*)"\](:::unobserved)?', line)
        edge = re.fullmatch(r'  (n\d+) (-->|---)\|"((?:[-\w .,()=#;]|<br/>)*)"\| (n\d+)', line)
        assert node or edge, line
        if node:
            nodes[node[1]] = html.unescape(re.sub(r"#(\d+);", r"&#\1;", node[2]))
        else:
            edges[edge[1], edge[4]] = edge[2]
    return nodes, edges


def test_dot_holds_the_graph():
    nodes, edges = read_dot(dot(families.small()))
    labels = {number: label for number, (label, _) in nodes.items()}
    labels["n6"] = "ancestor-1"
    assert {(labels[a], labels[b]) for a, b in edges} == edges_of(families.small())
    assert edges["n6", "n5"][1] == {"dir": "none"}
    said = "quantised (4 bits)\np <= 1e-431\ndirection >0.99"
    assert edges["n1", "n2"] == (said, {})
    assert "direction undetermined (0.60)" in edges["n6", "n5"][0]
    assert nodes["n6"] == ("(unobserved ancestor)", {"style": "dashed"})


def test_mermaid_holds_the_graph():
    nodes, edges = read_mermaid(mermaid(families.small()))
    assert nodes["n1"] == "ft"
    assert edges["n0", "n1"] == "-->"
    assert edges["n6", "n5"] == "---"
    said = "quantised (4 bits)<br/>p #60;= 1e-431<br/>direction #62;0.99"
    assert f'n1 -->|"{said}"| n2' in mermaid(families.small())
    assert len(edges) == 6


@pytest.mark.parametrize(("write", "read"), [(graphml, "graphml"), (gexf, "gexf")])
def test_networkx_reads_the_graph_and_every_number(write, read):
    graph = families.small()
    found = getattr(networkx, f"read_{read}")(io.BytesIO(write(graph).encode()))
    assert found.is_directed()
    names = networkx.get_node_attributes(found, "model")
    assert {(names[a], names[b]) for a, b in found.edges} == edges_of(graph)
    by_name = {name: number for number, name in names.items()}
    data = found.edges[by_name["ft"], by_name["ft-int4"]]
    assert (data["kind"], data["log10_pvalue"], data["distance"]) == ("quantised", -431.2, 0.05)
    assert json.loads(data["kind_details"]) == {"bits": 4}
    assert data["direction"] == "determined"
    node = found.nodes[by_name["base-a"]]
    assert (node["observed"], node["digest"]) == (True, "wk1-base-a")
    assert json.loads(node["duplicates"]) == ["models/base-a-copy"]
    assert found.nodes[by_name["ancestor-1"]]["observed"] is False


def test_edges_have_the_probability_of_their_parent():
    graph = families.placed()
    assert "parent 0.93, direction 0.98" in dot(graph)
    for write, read in ((graphml, "graphml"), (gexf, "gexf")):
        found = getattr(networkx, f"read_{read}")(io.BytesIO(write(graph).encode()))
        known = {
            data["parents"]: data["parent_probability"] for _, _, data in found.edges(data=True)
        }
        assert known['[["base", 0.93], ["old", 0.04], ["unobserved", 0.03]]'] == 0.93


def test_newick_holds_the_trees_and_names_what_it_dropped():
    trees, comments = read_newick(newick(families.small()))
    assert [label for label, _, _ in trees] == ["base-b", None, "stranger"]
    (base, length, (ft,)), loose = trees[1][2]
    assert (base, length, loose[:2]) == ("base-a", 0.4, ("loose", 0.5))
    assert [x[:2] for x in ft[2]] == [("ft-int4", 0.05), ("mix", 0.2)]
    assert comments == ["dropped: base-b -> mix, merged, weight 0.4"]


@NAMES
def test_hostile_names_stay_names(name):
    graph = families.named(name)
    shown = printable(name)
    nodes, edges = read_dot(dot(graph))
    assert (nodes["n1"][0], list(edges)) == (shown, [("n0", "n1")])
    nodes, edges = read_mermaid(mermaid(graph))
    assert (nodes["n1"], list(edges)) == (shown, [("n0", "n1")])
    for write, read in ((graphml, networkx.read_graphml), (gexf, networkx.read_gexf)):
        found = read(io.BytesIO(write(graph).encode()))
        assert list(found.edges) == [("n0", "n1")]
        assert found.nodes["n1"]["model"] == shown
    trees, comments = read_newick(newick(graph))
    assert trees == [("base", None, [(shown, 0.0, [])])]
    assert not comments


@NAMES
def test_hostile_names_stay_inside_the_comments_of_newick(name):
    nodes = [FamilyNode(id=x, name=x) for x in ("base", name, "mix")]
    edges = [FamilyEdge(parent="base", child="mix", kind="merged", weight=0.9),
             FamilyEdge(parent=name, child="mix", kind="merged", weight=0.1)]  # fmt: skip
    trees, comments = read_newick(newick(families.graph(nodes, edges)))
    assert len(trees) == 2
    (comment,) = comments
    assert comment.startswith("dropped: ")
    assert comment.endswith(" -> mix, merged, weight 0.1")


def test_long_names_are_cut_where_they_are_drawn_and_kept_where_they_are_data():
    graph = families.named("m" * 10_000)
    assert max(map(len, dot(graph).splitlines())) < 300
    assert max(map(len, mermaid(graph).splitlines())) < 1000
    assert "m" * 10_000 in graphml(graph)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_long_chains_and_empty_graphs_are_written(name):
    names = [f"m{i}" for i in range(1200)]
    nodes = [FamilyNode(id=x, name=x) for x in names]
    chain = [FamilyEdge(parent=a, child=b) for a, b in pairwise(names)]
    text = FORMATS[name](families.graph(nodes, chain))
    assert text.endswith("\n")
    assert "m1199" in text
    assert FORMATS[name](families.graph([], [], [])).endswith("\n")
