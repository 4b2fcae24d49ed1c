"""Claim: hostile names are shown as text, hostile uploads are refused in one line."""

import json
import re
import sqlite3
from dataclasses import replace

import httpx
import numpy as np
import pytest
from safetensors.numpy import save_file
from starlette.testclient import TestClient

from tests.registry.sealed import reseal
from tests.web import slow
from tests.web.conftest import TIMEOUT, copy_of, finished
from weightkin import Registry, read_sketch, take_sketch, write_sketch
from weightkin.records import clue
from weightkin.records.family import FamilyEdge, FamilyGraph, FamilyNode
from weightkin.records.registry import DeclaredParent, Search, Step, Trace
from weightkin.sketch import Scheme
from weightkin.web.app import make_app
from weightkin.web.serving import open_desk
from weightkin.web.work import work

SCRIPT = "</title><script>alert(1)</script>"
NAMES = (
    SCRIPT,
    "\"><img src=x onerror=alert(1)>' onmouseover='x",
    "safe\u202eevil\u2066\x1b[31m\r\nname",
    "{{ 7 * 7 }}{% raw %}javascript:alert(1)",
    "x" * 100_000,
)
OWN = r"<script type=.application/json.*?</script>| value=\".*?\""  # data; what was typed
HERE = "http://127.0.0.1:8321"


@pytest.fixture(
    scope="module",
    params=range(len(NAMES)),
    ids=["script", "quotes", "bidi", "template", "long"],
)
def name(request):
    return NAMES[request.param]


@pytest.fixture(scope="module")
def hostile(filled, name, tmp_path_factory):
    """A registry whose first model has a hostile name and says hostile things; records of it."""
    copied = copy_of(filled, tmp_path_factory.mktemp("hostile"))
    with sqlite3.connect(copied) as connection:
        connection.execute(
            "UPDATE models SET name = ?, source = ?, licence = ?, parents = ? WHERE id = 1",
            (name, f"/x/{name}", name, json.dumps([name, "llama-b"])),
        )
    reseal(copied)
    with open_desk(copied, work=slow.for_ever) as desk:
        jobs = [desk.trace(Registry(copied).list()[0]), desk.family()]
        for job, record in zip(jobs, _records(name), strict=True):
            desk.jobs.end(job.id, "done", record=record)
        yield TestClient(make_app(desk), base_url=HERE)


def _records(name):
    step = Step(
        parent=name,
        child=name,
        parent_id=1,
        child_id=1,
        kind="fine-tuned",
        evidence=(clue("text", text=name),),
    )
    search = Search(
        name=name, source=name, digest="wk1-0", n_scanned=1, n_compared=1, alpha=1e-6,
        paid_alpha=1e-6, relatives=(), parents=(step,), path=(step,), first_registered=name,
    )  # fmt: skip
    declared = (DeclaredParent(name=name, state="unverifiable", code="text", data={"text": name}),)
    yield Trace(search=search, declared=declared, licence=name).to_json()
    nodes = (FamilyNode(id=name, name=name, source=name, registered=(1,)), FamilyNode(id="b"))
    edge = FamilyEdge(
        parent=name, child="b", kind="fine-tuned", evidence=(clue("text", text=name),)
    )
    yield FamilyGraph(
        nodes=nodes, edges=(edge,), components=((name, "b"),), alpha=1e-6, method="m"
    ).to_json()


def test_hostile_names_are_text_on_every_page(hostile, name):
    query = {"q": name[:200], "a": name[:200]}
    for path in ("/", "/models/1", "/family", "/family/edges/2/0", "/jobs", "/compare"):
        answer = hostile.get(path, params=query if path in ("/", "/compare") else {})
        assert answer.status_code == 200, path
        text = re.sub(OWN, "", answer.text, flags=re.DOTALL)
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "' onmouseover='" not in text
        assert not {"\u202e", "\u2066", "\x1b", "\r"} & set(text)
        assert "49" not in text.split("<h1>")[1].split("</h1>")[0]
        assert len(text) < 60_000, path


def test_hostile_titles_of_jobs_are_text(hostile):
    answer = hostile.post("/api/compare", json={"a": 1, "b": 2})
    assert len(answer.json()["title"]) < 400
    page = hostile.get(answer.json()["page"]).text
    assert "<script>alert" not in page
    hostile.post(f"/api/jobs/{answer.json()['id']}/cancel")


@pytest.mark.parametrize("number", [True, "1", 1.5, None])
def test_only_a_number_is_a_number(hostile, number):
    assert hostile.post("/api/compare", json={"a": number, "b": 2}).status_code == 422


def post(address, data, name="x.sketch.safetensors"):
    return httpx.post(f"{address}/api/search", files={"sketch": (name, data)}, timeout=TIMEOUT)


@pytest.fixture(scope="session")
def sketch(models, tmp_path_factory):
    path = tmp_path_factory.mktemp("sketch") / "s.sketch.safetensors"
    write_sketch(take_sketch(models / "llama-a-ft1"), path)
    return path


@pytest.mark.parametrize(
    "data",
    [b"", b"no sketch", b"\xff" * 4096, (8).to_bytes(8, "little") + b"{}      ", b"PK\x03\x04"],
)
def test_what_is_no_sketch_is_refused_at_once(address, data):
    answer = post(address, data, f"{SCRIPT}.bin")
    assert answer.status_code == 422
    assert "that `weightkin sketch` wrote" in answer.json()["error"]
    assert "\n" not in answer.json()["error"]


def test_weights_are_refused_at_once(address, models):
    answer = post(address, (models / "vit-a" / "model.safetensors").read_bytes())
    assert answer.status_code == 422
    assert "a model, not a sketch that" in answer.json()["error"]


@pytest.mark.parametrize("damage", ["cut", "header", "claims"])
def test_a_damaged_sketch_fails_in_one_line_that_shows_no_path(address, sketch, damage):
    data = sketch.read_bytes()
    if damage == "cut":
        data = data[:-1000]
    elif damage == "header":
        data = data.replace(b'"weightkin-sketch":"1"', b'"weightkin-sketch":"9"')
    else:
        data = data.replace(b'\\"n_bytes\\":', b'\\"n_bytes\\":-', 1)
    answer = post(address, data, f"{SCRIPT}.sketch.safetensors")
    assert answer.status_code == 202
    job = finished(address, answer.json()["id"])
    assert job["state"] == "failed"
    assert job["said"].startswith(f"{SCRIPT}.sketch.safetensors: ")
    assert "\n" not in job["said"]
    assert "/uploads" not in job["said"]
    assert "<script>alert" not in httpx.get(f"{address}/jobs/{job['id']}", timeout=TIMEOUT).text


@pytest.mark.claim
def test_a_sketch_finds_its_family_and_is_not_kept(served, address, sketch):
    job = post(address, sketch.read_bytes(), "mine").json()["id"]
    assert finished(address, job)["state"] == "done"
    record = httpx.get(f"{address}/api/jobs/{job}/record", timeout=TIMEOUT).json()
    names = [x["model"]["name"] for x in record["relatives"]]
    assert names[0] == "llama-a-ft1"
    assert set(names) == {"llama-a", "llama-a-ft1", "llama-a-ft2", "llama-a-int4"}
    assert record["source"] == "an uploaded sketch"
    assert "llama-a-ft2" in httpx.get(f"{address}/jobs/{job}", timeout=TIMEOUT).text
    uploads = served.with_name(f"{served.name}.files") / "web" / "uploads"
    assert uploads.is_dir()
    assert [x for x in uploads.rglob("*") if x.is_file()] == []


def test_nothing_at_the_place_a_sketch_names_is_opened(copied, models, tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    trap = tmp_path / "trap"
    trap.mkdir()
    save_file({"x": rng.normal(size=(4, 4)).astype(np.float32)}, trap / "model.safetensors")
    forged = replace(take_sketch(models / "vit-a", Scheme()), source=str(trap))
    upload = tmp_path / "u.sketch.safetensors"
    write_sketch(forged, upload)
    seen = []

    def search(self, source):
        seen.append(read_sketch(source).source)
        raise SystemExit

    monkeypatch.setattr(Registry, "search", search)
    monkeypatch.setattr("resource.setrlimit", lambda *_: None)
    asked = {"registry": str(copied), "upload": str(upload), "name": "u", "job": 7}
    with pytest.raises(SystemExit):
        work("search", asked, lambda _: None)
    clean = tmp_path / "clean" / "7.sketch.safetensors"  # of this job, whoever sent the same
    assert seen == [str(clean)]
    assert not clean.exists()
