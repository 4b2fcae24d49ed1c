"""Claim: a family is rerun from its record, and whatever was changed in it is noticed."""

import re
from dataclasses import replace

import pytest

from tests import families
from weightkin import family_graph, verify, write_sketch
from weightkin.api.verify import family_differences, what_agrees
from weightkin.errors import UnreadableModel, UsageError
from weightkin.formats import open_model
from weightkin.records import clue
from weightkin.records.family import FamilyGraph
from weightkin.sketch import take_sketch

NAMES = ("vit-a", "vit-a-ft1")


@pytest.fixture(scope="module")
def record(zoo):
    """A root, a child, and the root again; read back from its text."""
    adapted = f"{zoo / 'models/vit-a'}+{zoo / 'models/vit-a-lora4-adapter'}"
    sources = [*(zoo / "models" / name for name in NAMES), adapted, zoo / "models/vit-a"]
    return FamilyGraph.from_json(family_graph(sources).to_json())


def test_a_family_is_the_same_again(record):
    assert verify(record) == []
    assert what_agrees(record).endswith("(1 duplicates were not read again)")


def test_other_contents_are_said_first_and_alone(record):
    digests = ("wk1-0", *(node.digest for node in record.nodes[1:]))
    nodes = [replace(n, digest=d) for n, d in zip(record.nodes, digests, strict=True)]
    forged = replace(record, nodes=tuple(nodes), edges=(), components=(("vit-a",), *[
        (n.id,) for n in record.nodes[1:]]))  # fmt: skip
    (line,) = family_differences(forged, record)
    assert line.startswith("digest of vit-a: wk1-0 in the record, ")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "noise"},
        {"log10_pvalue": -9999.0},
        {"direction_probability": 0.5},
        {"evidence": (clue("mixture-not-exact"),)},
        {"runner_up": None},
        {"parent_probability": 0.1},
        {"parents": None},
        {"kind_details": {"rank": 3}},
    ],
)
def test_every_altered_edge_is_noticed(record, change):
    first = next((edge for edge in record.edges if edge.kind_details), record.edges[0])
    others = (edge for edge in record.edges if edge is not first)
    edges = (replace(first, **change), *others)
    found = family_differences(replace(record, edges=edges), record)
    assert found
    assert all(line.startswith(f"edges.{first.parent} -> ") for line in found)


def test_other_candidates_are_the_same_models_under_their_ids_now():
    record = families.placed()
    nodes = tuple(replace(n, source=n.name) for n in record.nodes)
    record = replace(record, nodes=nodes)
    text = re.sub(r'(?<!name": )(?<!source": )"old"', '"old~2"', record.to_json())
    assert family_differences(record, FamilyGraph.from_json(text)) == []


def test_a_model_that_is_gone_and_names_given_are_told(record, tmp_path):
    nodes = (replace(record.nodes[0], source=str(tmp_path / "gone")), *record.nodes[1:])
    with pytest.raises(UnreadableModel, match="gone"):
        verify(replace(record, nodes=nodes))
    with pytest.raises(UsageError, match="names its models itself; name none here"):
        verify(record, tmp_path, tmp_path)
    with pytest.raises(UnreadableModel, match="unknown method 'other/9'"):
        verify(replace(record, method="other/9"))


def test_a_family_of_sketches_names_the_sketches(zoo, tmp_path):
    files = [tmp_path / f"{name}.sketch.safetensors" for name in NAMES]
    for name, file in zip(NAMES, files, strict=True):
        write_sketch(take_sketch(open_model(zoo / "models" / name)), file)
    graph = family_graph(files)
    assert [node.source for node in graph.nodes] == [str(file) for file in files]
    assert verify(graph) == []
