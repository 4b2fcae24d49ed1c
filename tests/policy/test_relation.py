"""Claim: the relation that a card declares is recorded; that the weights show another is a note."""

import shutil

import pytest

from tests.conftest import ROOT
from weightkin import Policy, check
from weightkin.formats import open_model
from weightkin.formats.declared import declared
from weightkin.report.checking import check_lines

ZOO = ROOT / "zoo"


def with_card(folder, path, relation):
    shutil.copytree(ZOO / path, folder)
    said = f"base_model_relation: {relation}\n" if relation else ""
    (folder / "README.md").write_text(f"---\nbase_model: org/llama-a\n{said}license: mit\n---\n")
    return folder


@pytest.mark.parametrize(
    ("path", "relation", "is_noted"),
    [
        ("models/llama-a-ft1", "finetune", False),
        ("models/llama-a-ft1", "quantized", True),
        ("derived/llama-a-int8", "Quantized", False),
        ("derived/llama-a-int8", "finetune", True),
        ("derived/llama-a-header", "finetune", True),
        ("models/llama-a-ft1", "", False),
    ],
)
def test_a_relation_that_the_weights_contradict_is_a_note(tmp_path, path, relation, is_noted):
    model = with_card(tmp_path / "m", path, relation)
    record = check(model, Policy(expected_parents=(str(ZOO / "models/llama-a"),)))
    assert record.models[0].declared_relation == relation.casefold()
    noted = [x for x in record.findings if x.code == "other-relation"]
    assert bool(noted) == is_noted
    assert all(x.level == "warning" for x in noted)
    assert not any(x.level == "error" for x in record.findings)
    said = any("the weights show" in line for line in check_lines(record))
    assert said == is_noted


@pytest.mark.parametrize("said", ["[a]", "null", "other", "x\ud800"])
def test_what_no_hub_calls_a_relation_is_kept_as_it_is(tmp_path, said):
    folder = tmp_path / "m"
    shutil.copytree(ZOO / "models/llama-b", folder)
    text = f"---\nbase_model: a/b\nbase_model_relation: {said}\n---\n"
    (folder / "README.md").write_bytes(text.encode("utf-8", "surrogatepass"))
    found = declared(open_model(folder))
    assert found.parents == ("a/b",) or found.unread
    found.relation.encode()
