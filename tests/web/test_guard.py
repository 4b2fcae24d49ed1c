"""Claim: no other site can ask or read, no stranger gets in, and no body is too large."""

import pytest
from starlette.testclient import TestClient

from tests.web import slow
from tests.web.conftest import copy_of
from weightkin.web.app import make_app
from weightkin.web.guard import COOKIE, HEADERS, MOST_FORM, MOST_UPLOAD
from weightkin.web.serving import is_loopback, open_desk

TOKEN = "a-token-of-the-tests"
HERE = "http://127.0.0.1:8321"


@pytest.fixture(scope="module")
def desk(filled, tmp_path_factory):
    with open_desk(copy_of(filled, tmp_path_factory.mktemp("desk")), work=slow.for_ever) as found:
        yield found


@pytest.fixture
def client(desk):
    return TestClient(make_app(desk, names=frozenset({"localhost"})), base_url=HERE)


@pytest.fixture
def guarded(desk):
    return TestClient(make_app(desk, token=TOKEN), base_url=HERE, follow_redirects=False)


FOREIGN = ("evil.example", "evil.example:8321", "127.0.0.1.evil.example", "", "[",
           "localhost.evil.example", "user@evil.example")  # fmt: skip


@pytest.mark.parametrize("host", FOREIGN)
def test_a_name_that_was_rebound_to_this_address_is_refused(client, host):
    assert client.get("/api/models", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["127.0.0.1:8321", "localhost:8321", "LOCALHOST", "[::1]:8321"])
def test_addresses_and_given_names_are_served(client, host):
    assert client.get("/api/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": HERE, "sec-fetch-site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", ["/api/family", "/family", "/models/1/trace", "/jobs/1/cancel"])
def test_another_site_cannot_start_or_stop_anything(client, path, headers):
    before = client.get("/api/jobs").json()
    assert client.post(path, headers=headers).status_code == 403
    assert client.get("/api/jobs").json() == before


@pytest.mark.parametrize("headers", [{}, {"origin": HERE, "sec-fetch-site": "same-origin"}])
def test_our_own_pages_and_programs_may_ask(client, headers):
    answer = client.post("/api/models/1/trace", headers=headers)
    assert answer.status_code == 202
    assert (
        client.post(f"/api/jobs/{answer.json()['id']}/cancel", headers=headers).status_code == 200
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/api/models", 200),
        ("GET", "/models/999", 404),
        ("GET", "/api/models/0", 422),
        ("GET", "/nowhere", 404),
        ("DELETE", "/", 405),
        ("GET", "/api/jobs/1/record", 409),
    ],
)
def test_every_answer_says_what_a_browser_may_do(client, method, path, status):
    client.post("/api/models/1/trace")
    answer = client.request(method, path)
    assert answer.status_code == status
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


def test_without_the_token_nothing_is_shown(guarded):
    answer = guarded.get("/api/models")
    assert (answer.status_code, answer.json()) == (401, {"error": "a token is needed"})
    assert guarded.get("/models/1").headers["location"] == "/login"
    assert guarded.post("/family").status_code == 401
    assert guarded.get("/api/openapi.json").status_code == 401
    assert "llama" not in guarded.get("/login").text
    for token in ("", "x", TOKEN[:-1], f"{TOKEN}x", "é"):
        headers = {"authorization": f"Bearer {token}".encode()}
        assert guarded.get("/api/models", headers=headers).status_code == 401
        assert guarded.get("/", headers={"cookie": f"{COOKIE}={token}".encode()}).status_code == 303


def test_the_token_opens_by_header_and_by_form(guarded):
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert guarded.get("/api/models", headers=headers).status_code == 200
    wrong = guarded.post("/login", data={"token": "wrong"})
    assert wrong.status_code == 403
    assert "set-cookie" not in wrong.headers
    answer = guarded.post("/login", data={"token": TOKEN})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie
    assert guarded.get("/").status_code == 200
    assert guarded.post("/logout").headers["location"] == "/login"
    assert guarded.get("/").status_code == 303


@pytest.mark.parametrize(
    ("path", "most"), [("/api/compare", MOST_FORM), ("/api/search", MOST_UPLOAD)]
)
def test_a_body_that_is_too_large_is_refused_said_or_not(client, path, most):
    answer = client.post(path, content=b" ", headers={"content-length": str(most + 1)})
    assert answer.status_code == 413
    assert f"{most:,}" in answer.json()["error"]
    piece = bytes(1 << 16)
    kind = {"content-type": "multipart/form-data; boundary=b" if most > 1e6 else "application/json"}
    head = b'--b\r\nContent-Disposition: form-data; name="sketch"; filename="x"\r\n\r\n'
    pieces = (head if k == 0 else piece for k in range(2 + most // len(piece)))
    answer = client.post(path, content=pieces, headers=kind)
    assert answer.status_code == 413


def test_static_files_are_kept_and_nothing_else_is_found_beside_them(client):
    page = client.get("/").text
    path = next(
        x.split('"')[0] for x in page.split('href="')[1:] if "/static/" in x and ".css" in x
    )
    answer = client.get(path)
    assert answer.headers["cache-control"].endswith("immutable")
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    for other in ("/static/x/style.css", f"{path}x", f"{path.rsplit('/', 1)[0]}/app.py",
                  f"{path.rsplit('/', 1)[0]}/..%2f..%2fapp.py"):  # fmt: skip
        assert client.get(other).status_code == 404


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_addresses_need_no_token(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "10.0.0.1", "::", "example.org", ""])
def test_every_other_address_needs_one(host):
    assert not is_loopback(host)
