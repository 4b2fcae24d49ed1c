"""Claim: no form of a model card hides a licence or a parent from the gate."""

import numpy as np
import pytest

from tests.lineage.simulated import base, trained_on
from tests.policy.test_gate import card
from tests.registry.conftest import write
from weightkin import Registry, check
from weightkin.records.licences import classes_of, looser


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A root under a non-commercial licence (#1), a stranger (#2), and the root's child."""
    folder = tmp_path_factory.mktemp("declarations")
    rng = np.random.default_rng(41)
    root = base(rng)
    card(write(folder / "root", root), "license: cc-by-nc-4.0")
    card(write(folder / "stranger", base(rng)), "license: mit")
    write(folder / "child", trained_on(root, rng))
    write(folder / "x" / "root", base(rng))
    Registry(folder / "r.sqlite").add([folder / "root", folder / "stranger"])
    return folder


def outcome(home, name, front):
    found = check(card(home / name, front), registry=home / "r.sqlite")
    return found.outcome, {x.rule for x in found.findings}


@pytest.mark.parametrize(
    "front",
    ["license: mit", "license: [cc-by-nc-4.0, mit]", '"license": mit', "? license\n: mit",
     "license: mit OR cc-by-nc-4.0", "x: |\n  a\n\n---x: 1\nlicense: mit"]
)  # fmt: skip
def test_a_looser_licence_is_seen_in_every_form(home, front):
    found, rules = outcome(home, "child", f"base_model: org/root\n{front}")
    assert (found, "looser-licence" in rules) == ("hit", True)


@pytest.mark.parametrize(
    "front", ["license: cc-by-nc-4.0\nlicense: mit", "d: &d {license: mit}\n<<: *d"]
)
def test_what_readers_read_differently_is_unverifiable(home, front):
    found, rules = outcome(home, "child", f"base_model: org/root\n{front}")
    assert found == "incomplete"
    assert "undeclared-parent" not in rules  # nobody knows what is not declared


def test_the_licences_of_an_ancestor_may_be_passed_on():
    def judged(own, theirs):
        found = looser(classes_of(own, {}), classes_of(theirs, {}), is_ancestor=True)
        return None if found is None else (found.data["licence"], found.data["ancestor_licence"])

    assert judged("mit", "mit, cc-by-nc-4.0") == ("mit", "cc-by-nc-4.0")
    assert judged("cc-by-nc-4.0, mit", "mit, cc-by-nc-4.0") is None
    assert judged("cc-by-nc-4.0 AND apache-2.0", "mit, cc-by-nc-4.0") is not None
    assert judged("unheard-of", "mit") is None
    assert classes_of("GPL-2.0-only WITH Classpath-exception-2.0", {}) == {
        "gpl-2.0-only": "strong-copyleft", "classpath-exception-2.0": ""
    }  # fmt: skip
    assert classes_of("A or B", {"a or b": "permissive"}) == {"a or b": "permissive"}


def test_a_folder_is_not_the_parent_whose_name_it_bears(home):
    found, rules = outcome(home, "x/root", "base_model: root")
    assert (found, "contradicted-parent" in rules) == ("hit", True)
    found, rules = outcome(home, "root", "base_model: root\nlicense: cc-by-nc-4.0")
    assert (found, rules) == ("pass", set())


def test_a_parent_under_a_revision_is_that_parent(home):
    assert outcome(home, "child", "base_model: org/root@main\nlicense: cc-by-nc-4.0")[0] == "pass"


def test_a_parent_too_many_is_unverifiable(home):
    names = ", ".join(f"o{i}/root" for i in range(65))
    front = f"base_model: [{names}]\nlicense: cc-by-nc-4.0"
    assert outcome(home, "child", front)[0] == "incomplete"
