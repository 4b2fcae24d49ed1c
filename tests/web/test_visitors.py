"""Claim: visitors see no folder of this machine, whatever they ask, and open none."""

import json

import numpy as np
import pytest
from starlette.testclient import TestClient

from tests.lineage.simulated import base, trained_on
from tests.registry.conftest import write
from tests.web import slow
from weightkin import Registry
from weightkin.formats import open_model
from weightkin.web import work as working
from weightkin.web.app import make_app
from weightkin.web.serving import open_desk
from weightkin.web.visitors import shown_source, shown_text
from weightkin.web.work import work

HERE = "http://127.0.0.1:8321"
TOKEN = "t" * 43
PAGES = ("/", "/models/1", "/models/2", "/family", "/jobs", "/compare", "/models/1/descendants")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A model and its child, in a folder with a space, and a parent that is declared as a path."""
    folder = tmp_path_factory.mktemp("my models")
    rng = np.random.default_rng(5)
    root = base(rng)
    write(folder / "secret place" / "root", root)
    child = write(folder / "secret place" / "child", trained_on(root, rng))
    (child / "README.md").write_text("---\nbase_model: /srv/hidden/base\n---\n")
    return folder / "secret place"


@pytest.fixture(scope="module")
def path(models, tmp_path_factory):
    found = tmp_path_factory.mktemp("my registry") / "r.sqlite"
    Registry(found).add([models / "root", models / "child"])
    return found


@pytest.fixture(scope="module")
def desk(path):
    with open_desk(path, work=slow.for_ever) as found:
        first, other = Registry(path).list()
        jobs = (found.trace(other), found.family(), found.compare(first, other),
                found.descendants(first))  # fmt: skip
        for job in jobs:
            record = work(job.kind, job.asked, lambda _: None)
            found.jobs.end(job.id, "done", record=record)
        found.jobs.end(found.trace(first).id, "failed", f"{path}: cannot be used")
        yield found


@pytest.fixture(params=["token", "name"])
def client(desk, request):
    how = {"token": TOKEN} if request.param == "token" else {"has_visitors": True}
    headers = {"authorization": f"Bearer {TOKEN}"}
    return TestClient(make_app(desk, **how), base_url=HERE, headers=headers)


def answers(client):
    for where in PAGES:
        yield where, client.get(where)
    for where in ("/models", "/models/2", "/models/2/trace", "/family", "/jobs", "/jobs/5"):
        yield where, client.get(f"/api{where}")
    for job in (1, 2, 3, 4):
        yield job, client.get(f"/api/jobs/{job}/record")
        yield job, client.get(f"/jobs/{job}")


def test_visitors_see_no_folders(client, path, models):
    hidden = [str(path.parent), str(models), "secret place", "/srv", "my models", "my registry"]
    for where, answer in answers(client):
        assert answer.status_code == 200, where
        assert not [x for x in hidden if x in answer.text], where
    assert client.get("/api/models").json()["models"][0]["source"] == "root"


def test_visitors_cannot_guess_folders(client, path, models):
    for query in (str(models), "secret place", "/my"):
        assert client.get("/api/models", params={"query": query}).json()["n_found"] == 0
    asked = {"a": str(models / "root"), "b": str(models / "child")}
    assert "No model has this name" in client.post("/compare", data=asked).text


def test_the_owner_sees_them(desk, models):
    client = TestClient(make_app(desk), base_url=HERE)
    assert client.get("/api/models").json()["models"][0]["source"] == str(models / "root")
    assert str(models) in client.get("/models/1").text


def test_what_was_imported_is_not_opened(path, tmp_path, monkeypatch):
    Registry(path).export(tmp_path / "all.zip")
    here = Registry(tmp_path / "r.sqlite")
    here.import_(tmp_path / "all.zip")
    opened = []
    monkeypatch.setattr(working, "held_whole", lambda _: None)  # as of a large model
    monkeypatch.setattr(
        "weightkin.registry.prepared.open_model", lambda x: opened.append(x) or open_model(x)
    )
    record = json.loads(work("compare", {"registry": str(here.path), "a": 1, "b": 2}, print))
    assert opened == []
    assert {x["code"] for x in record["skipped"]} >= {"compared-by-sketch"}
    work("compare", {"registry": str(path), "a": 1, "b": 2}, print)
    assert len(opened) == 2


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a/b c/d: cannot be read", "d: cannot be read"),
        ("see /home/x/y/z.bin, or C:\\models\\x", "see z.bin, or x"),
        ("~user/models/x: is org/name at https://host/a/b", "x: is org/name at https://host/a/b"),
        ("hf:org/name and gain 3/4", "hf:org/name and gain 3/4"),
    ],
)
def test_sentences_keep_the_last_part_of_a_path(text, shown):
    assert shown_text(text) == shown


def test_sources_keep_the_last_part_of_each_part():
    assert shown_source("/a b/base+/c d/lora") == "base+lora"
    assert shown_source("hf:org/name+/x/lora") == "hf:org/name+lora"
    assert shown_source("hf:org/name") == "hf:org/name"
