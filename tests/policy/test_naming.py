"""Claim: numbers, digests and names never stand for each other, and a claimed digest for none."""

import shutil

import numpy as np
import pytest

from tests.lineage.simulated import base
from tests.registry.conftest import write
from weightkin import Registry, check
from weightkin.policy.naming import Meant, Unknown, named, registered_as
from weightkin.records.registry import Registered

DIGEST = "wk1-" + "a" * 64


def known(number, name, digest=DIGEST, **more):
    return Registered(id=number, name=name, source=f"/m/{name}", revision="", digest=digest,
                      full_digest="", added="", **more)  # fmt: skip


REAL = known(1, "real")
NAMED_AS = known(2, DIGEST, "wk1-" + "b" * 64)
NUMBERED = known(3, "#1", "wk1-" + "c" * 64)
CLAIM = known(4, "real", claimed=True)
TWIN = known(5, "twin")
OTHER = known(6, "real", "wk1-" + "d" * 64)


def ids(name, *models):
    found = registered_as(name, models)
    return [m.id for m in found.models] if isinstance(found, Meant) else found


def test_a_digest_means_contents_and_a_number_a_number():
    assert ids(DIGEST, REAL, NAMED_AS, NUMBERED, TWIN) == [1, 5]
    assert ids("#1", REAL, NAMED_AS, NUMBERED) == [1]
    assert isinstance(ids("#1", NAMED_AS, NUMBERED), Unknown)
    for name in ("#01", "#\uff11", "#", "# 1", DIGEST[:20], DIGEST.upper().replace("WK1", "wk1")):
        assert isinstance(ids(name, REAL, NUMBERED), Unknown), name


def test_a_claimed_digest_stands_for_nothing_that_was_computed():
    assert ids(DIGEST, REAL, CLAIM) == [1]
    assert ids("real", REAL, CLAIM) == [1]
    only = registered_as(DIGEST, [CLAIM])
    assert only.is_claimed
    assert not registered_as("real", [CLAIM]).is_claimed


def test_a_name_of_two_models_means_neither():
    found = ids("real", REAL, OTHER)
    assert "several registered models" in found.why.sentence
    assert "#1, #6" in found.why.sentence
    assert ids("twin", REAL, TWIN, OTHER) == [5]
    assert ids("nobody", REAL) is None


@pytest.mark.parametrize("name", ["/m/twin", "/srv/models/forbidden", "hf://org/forbidden"])
def test_no_registered_model_stands_for_an_absolute_path_or_a_hub(name):
    assert ids(name, TWIN, known(7, name)) is None
    (named_,) = named([name], None, [TWIN, known(7, name)]).values()
    assert isinstance(named_, Unknown)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A registry with a root (#1); a folder whose name is that number, and its copy elsewhere."""
    rng = np.random.default_rng(31)
    root = base(rng)
    write(tmp_path / "root", root)
    write(tmp_path / "#1", base(rng))
    Registry(tmp_path / "r.sqlite").add([tmp_path / "root"])
    shutil.copytree(tmp_path / "root", tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_named_like_a_number_is_not_that_number(home):
    (registered,) = Registry(home / "r.sqlite").list()
    for name in ("#1", registered.digest, "root"):
        deny = str(home / "root") if name == "root" else name
        assert check(home / "copy", deny=[deny], registry=home / "r.sqlite").outcome == "hit"
    assert check("#1", deny=[str(home / "root")], registry=home / "r.sqlite").outcome == "hit"
    assert Registry(home / "r.sqlite").search("#1").name == "root"
