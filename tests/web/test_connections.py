"""Claim: a visitor who is silent, slow or long-winded costs the server next to nothing."""

import socket
import threading
import time
from contextlib import contextmanager

import pytest
import uvicorn

from tests.web import slow
from tests.web.conftest import copy_of, until
from weightkin.web import connections
from weightkin.web.app import make_app
from weightkin.web.guard import COOKIE, MOST_HEAD, cookie_of
from weightkin.web.serving import configured, open_desk

TOKEN = "t" * 43


@contextmanager
def running(desk, **options):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(configured(make_app(desk, **options)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        until(lambda: server.started)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def desk(filled, tmp_path_factory):
    with open_desk(copy_of(filled, tmp_path_factory.mktemp("desk")), work=slow.for_ever) as found:
        yield found


@pytest.fixture
def quick(monkeypatch):
    for name, seconds in (("HEAD", 0.5), ("PAUSE", 0.5), ("BODY", 1.5), ("CONNECTION_LOOK", 0.1)):
        monkeypatch.setattr(connections, f"{name}_SECONDS", seconds)


@pytest.fixture
def port(desk, quick):
    with running(desk) as found:
        yield found


@pytest.fixture(scope="module")
def guarded(desk):
    with running(desk, token=TOKEN) as found:
        yield found


def asked(port, path="/api/models?size=1", *headers, method="GET"):
    head = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", "connection: close", *headers]
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        answer = b""
        while data := connection.recv(1 << 16):
            answer += data
    return int(answer.split(None, 2)[1]) if answer else 0


def is_closed(connection, seconds):
    connection.settimeout(seconds)
    try:
        while connection.recv(1 << 16):
            pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize(
    "said",
    [b"", b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n", b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"],
)
def test_a_silent_connection_is_closed(port, said):
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(said)
        assert is_closed(connection, 20)
    assert asked(port) == 200


HEAD = b"POST /compare HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 4000\r\n\r\n"


@pytest.mark.parametrize("begin", [b"GET / HTTP/1.1\r\nx: ", HEAD], ids=["head", "body"])
def test_bytes_that_drip_have_an_end(port, begin):
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(begin)
        started = time.monotonic()
        try:
            while time.monotonic() < started + 30:
                connection.sendall(b"a")
                time.sleep(0.1)
        except OSError:
            pass
        assert time.monotonic() < started + 20


def test_a_body_that_does_not_come_ends(port):
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(HEAD)
        assert is_closed(connection, 20)


def test_silent_connections_make_room(desk, monkeypatch):
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 5)
    with running(desk) as port:
        crowd = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(12)]
        assert asked(port) == 200
        for connection in crowd:
            connection.close()


@pytest.mark.parametrize(
    "cookie",
    ['="' + "\\" * 60_000 + '"', '="' + '\\"' * 7_000, "=;" * 7_000, "; ".join(["a=1"] * 3_000)],
)
def test_a_long_cookie_is_answered_at_once(guarded, cookie):
    assert asked(guarded, "/api/models", f"cookie: {COOKIE}{cookie}") in (400, 401, 431)


def test_the_cookie_of_a_visitor_is_known(guarded):
    good = f"{COOKIE}={cookie_of(TOKEN)}"
    assert asked(guarded, "/api/models", f"cookie: a=1; {good}; b=2") == 200
    assert asked(guarded, "/api/models", f"cookie: {good}; {good}") == 401
    assert asked(guarded, "/api/models", f"cookie: x{good}") == 401


LONG = {
    "query": ("/?q=" + "%41" * 20_000, ()),
    "query just inside": ("/?q=" + "%41" * 5_000, ()),
    "parameters": ("/api/models?" + "&".join(f"a{k}=1" for k in range(1_900)), ()),
    "bare separators": ("/?" + "&" * 15_000, ()),
    "path": ("/" + "a/" * 8_000, ()),
    "escaped path": ("/models/" + "%2525" * 3_000, ()),
    "number": ("/models/" + "9" * 15_000, ()),
    "headers": ("/", [f"x{k}: 1" for k in range(1_000)]),
    "host": ("/", ["host: " + "1." * 7_000]),
    "media type": ("/search", ["content-type: multipart/form-data" + "; a=\\" * 2_500,
                               "content-length: 0"]),
    "boundary": ("/search", ["content-type: multipart/form-data; boundary=" + "-" * 14_000,
                             "content-length: 2000", "", "-" * 2_000]),
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_a_long_head_is_answered_at_once(port, name):
    path, headers = LONG[name]
    method = "POST" if path == "/search" else "GET"
    assert asked(port, path, *headers, method=method) in (200, 400, 404, 421, 422, 431)


def test_a_head_at_the_limit_is_refused_in_words(port):
    assert asked(port, "/", *(f"x{k}: {'1' * 200}" for k in range(90))) in (400, 431)
    assert MOST_HEAD == 16384


def test_many_parts_of_a_form_are_refused(port):
    part = b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n'
    body = part * 20_000 + b"--x--\r\n"
    head = (f"POST /api/search HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type:"
            f" multipart/form-data; boundary=x\r\ncontent-length: {len(body)}\r\n\r\n")  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(head.encode() + body)
        assert connection.recv(1 << 16).split()[1] in (b"400", b"422")
