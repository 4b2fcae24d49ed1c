"""Claim: the API does what its document says, to one visitor and to many at once."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import schemathesis
from hypothesis import given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.testclient import TestClient

from tests.web import slow
from tests.web.conftest import REGISTERED, TIMEOUT, copy_of, finished
from weightkin.records import Comparison
from weightkin.web.app import make_app
from weightkin.web.jobs import MOST_WAITING
from weightkin.web.serving import open_desk


@pytest.fixture(scope="module")
def app(filled, tmp_path_factory):
    with open_desk(copy_of(filled, tmp_path_factory.mktemp("api")), work=slow.for_ever) as desk:
        yield make_app(desk, names=frozenset({"testserver"}))


@pytest.fixture
def client(app):
    return TestClient(app, base_url="http://testserver")


def test_every_route_keeps_to_its_document(app):
    document = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) == 15
    for operation in operations:
        keeps(operation, n_examples=4)


def keeps(operation, *, n_examples):
    """Fail where an answer is not as documented; no schema can say what a sketch is."""
    excluded = [positive_data_acceptance] if operation.path == "/api/search" else []

    @settings(max_examples=n_examples, deadline=None, derandomize=True, database=None)
    @given(case=operation.as_strategy())
    def check(case):
        case.call_and_validate(excluded_checks=excluded)

    check()


def test_the_list_is_found_by_name_number_and_source_and_comes_in_pages(client):
    every = client.get("/api/models").json()
    assert [m["name"] for m in every["models"]] == list(REGISTERED)
    found = client.get("/api/models", params={"query": "ft"}).json()
    assert {m["name"] for m in found["models"]} == {x for x in REGISTERED if "ft" in x}
    found = client.get("/api/models", params={"query": "#3"}).json()
    assert [m["id"] for m in found["models"]] == [3]
    assert 3 in {m["id"] for m in client.get("/api/models", params={"query": "3"}).json()["models"]}
    source = every["models"][5]["source"]
    found = client.get("/api/models", params={"query": source}).json()
    assert source in {m["source"] for m in found["models"]}
    assert client.get("/api/models", params={"query": "%"}).json()["n_found"] == 0
    pages = [client.get("/api/models", params={"page": k, "size": 5}).json() for k in (1, 2, 3, 4)]
    assert [len(p["models"]) for p in pages] == [5, 5, 2, 0]
    assert {p["n_pages"] for p in pages} == {3}


def test_a_model_says_what_it_is(client):
    found = client.get("/api/models/4").json()
    assert found["model"]["declared_parents"] == ["llama-b"]
    assert found["model"]["licence"] == "apache-2.0"
    assert found["stacks"] == {"decoder": 6}
    assert found["n_parameters"] == 707_808
    assert client.get("/api/models/99").json() == {"error": "#99: no such model"}


@pytest.mark.parametrize(
    ("method", "path", "title"),
    [
        ("GET", "/models/99", "Not found"),
        ("GET", "/models/0", "Invalid request"),
        ("POST", "/search", "No sketch"),
    ],
)
def test_a_page_that_says_no_has_a_title_in_words(client, method, path, title):
    files = {"sketch": ("x", b"no sketch")} if method == "POST" else None
    page = client.request(method, path, files=files).text
    assert f"<title>{title} · weightkin</title>" in page
    assert f"<h1>{title}</h1>" in page


def test_an_address_without_a_page_is_answered_with_a_sentence(client):
    page = client.get("/nowhere")
    assert page.status_code == 404
    assert "There is nothing at this address." in page.text
    assert client.get("/api/nowhere").json() == {"error": "There is nothing at this address."}


def test_a_model_is_named_by_its_number_with_or_without_a_sign(client):
    for a, b, status in (("1", "#2", 303), ("99", "2", 200), ("9" * 40, "2", 200)):
        answer = client.post("/compare", data={"a": a, "b": b}, follow_redirects=False)
        assert answer.status_code == status
        assert ("No model has this name or number." in answer.text) == (status == 200)
    client.post(f"/api/jobs/{client.get('/api/jobs').json()['jobs'][0]['id']}/cancel")


def test_a_full_queue_says_come_back(client):
    answers = [client.post(f"/api/models/{k}/trace") for k in range(1, 13)]
    answers += [client.post("/api/compare", json={"a": 1, "b": k}) for k in range(1, 13)]
    full = [x for x in answers if x.status_code == 429]
    assert 0 < len(full) <= len(answers) - MOST_WAITING
    assert full[0].headers["retry-after"]
    assert "jobs are waiting" in full[0].json()["error"]
    for job in client.get("/api/jobs").json()["jobs"]:
        client.post(f"/api/jobs/{job['id']}/cancel")


@pytest.mark.claim
def test_many_visitors_at_once_are_answered(address):
    with httpx.Client(timeout=TIMEOUT) as client:
        paths = [f"/api/models?query={x}" for x in REGISTERED] + ["/", "/models/2", "/jobs"] * 6

        def ask(path):
            return client.get(address + path).status_code

        with ThreadPoolExecutor(12) as pool:
            assert set(pool.map(ask, paths * 2)) == {200}
            body = {"a": 7, "b": 8}
            asked = pool.map(lambda _: client.post(f"{address}/api/compare", json=body), range(12))
            answers = [x.json()["id"] for x in asked]
    assert len(set(answers)) == 1  # one question, one job
    assert finished(address, answers[0])["state"] == "done"
    record = Comparison.from_json(
        httpx.get(f"{address}/api/jobs/{answers[0]}/record", timeout=TIMEOUT).text
    )
    assert record.verdict in ("no-evidence", "not-testable")
