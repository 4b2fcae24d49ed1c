"""What stands before every request: host, origin, token and size; and the headers of every answer.

A page elsewhere can make a browser send requests here. It cannot make it send another ``Host`` than
its own, hide where a request comes from, or read an answer: so a foreign host is refused (a name
rebound to this address), and so is whatever changes something and comes from another origin.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "weightkin"
MOST_HEAD = 16 << 10  # bytes of the head of a request: its address and headers
MOST_HEADERS = 100
MOST_FORM = 64 << 10  # bytes of any body
MOST_UPLOAD = 64_000_000  # bytes of a sketch with its form around it
UPLOADS = ("/search", "/api/search")
OPEN = ("/login", "/static/")  # seen without a token
SAFE = ("GET", "HEAD", "OPTIONS")
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class RequestGuard:
    """An application behind its checks.

    Parameters
    ----------
    app : ASGIApp
        What answers.
    names : frozenset of str
        Host names, in lower case, under which it may be asked; addresses always may, since no
        rebound name looks like one.
    token : str
        What a visitor has to show, as ``Authorization: Bearer`` or by the form; empty: nothing.
    """

    def __init__(self, app: ASGIApp, *, names: frozenset[str], token: str = "") -> None:
        self._app = app
        self._names = names
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
            await send(message)

        refused = self._refused(Request(scope))
        if refused is not None:
            await refused(scope, receive, send_guarded)
            return
        most = MOST_UPLOAD if scope["path"] in UPLOADS else MOST_FORM
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdecimal() and int(length) > most:
            await _drain(receive, 4 * most)
            await _said(scope, 413, _too_large(most))(scope, receive, send_guarded)
            return
        kept = [(name, value) for name, value in scope["headers"] if name != b"cookie"]
        await self._app({**scope, "headers": kept}, _limited(receive, most), send_guarded)

    def _refused(self, request: Request) -> Response | None:
        scope, headers = request.scope, request.headers
        if len(scope["headers"]) > MOST_HEADERS or _head_size(scope) > MOST_HEAD:
            return _said(scope, 431, f"the header is too large (at most {MOST_HEAD:,} bytes)")
        host = headers.get("host", "")
        if not self._is_known(host):
            return _said(scope, 421, "this host name is not served here")
        if request.method not in SAFE and not _is_same_origin(headers, host):
            return _said(scope, 403, "this came from another site")
        path = scope["path"]
        if not self._token or path == OPEN[0] or path.startswith(OPEN[1]):
            return None
        if self.is_token(headers.get("authorization", "").removeprefix("Bearer ")):
            return None
        if self._has_cookie(headers.get("cookie", "")):
            return None
        if path.startswith("/api/") or request.method not in SAFE:
            answer = _said(scope, 401, "a token is needed")
            answer.headers["www-authenticate"] = "Bearer"
            return answer
        return RedirectResponse("/login", status_code=303)

    def is_token(self, text: str) -> bool:
        """Whether a text is the token."""
        return hmac.compare_digest(text.encode("utf-8", "replace"), self._token.encode())

    def _has_cookie(self, header: str) -> bool:
        pairs = (pair.strip().partition("=") for pair in header.split(";"))  # ours has no quotes
        values = [value for name, _, value in pairs if name == COOKIE]
        wanted = cookie_of(self._token).encode()
        return len(values) == 1 and hmac.compare_digest(
            values[0].encode("utf-8", "replace"), wanted
        )

    def _is_known(self, host: str) -> bool:
        name = _name_of(host)
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _head_size(scope: Scope) -> int:
    address = len(scope.get("raw_path") or b"") + len(scope["query_string"])
    return address + sum(len(name) + len(value) for name, value in scope["headers"])


def cookie_of(token: str) -> str:
    """What the cookie of a visitor holds who showed the token: not the token itself."""
    return hashlib.sha256(f"weightkin cookie {token}".encode()).hexdigest()


def _name_of(host: str) -> str:
    """The name or address in a ``Host`` header, in lower case; empty for a malformed one."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_same_origin(headers: Headers, host: str) -> bool:
    """Whether a browser sent this from one of our own pages, or no browser sent it."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    return origin is None or origin in (f"http://{host}", f"https://{host}")


def _limited(receive: Receive, most: int) -> Receive:
    n_bytes = 0

    async def limited() -> Message:
        nonlocal n_bytes
        message = await receive()
        n_bytes += len(message.get("body", b""))
        if n_bytes > most:
            raise HTTPException(413, _too_large(most))
        return message

    return limited


async def _drain(receive: Receive, most: int) -> None:
    """Read what a client still sends, within reason: it listens only when it has finished."""
    n_bytes, more = 0, True
    while more and n_bytes < most:
        message = await receive()
        n_bytes += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)


def _too_large(most: int) -> str:
    return f"too large (at most {most:,} bytes)"


def _said(scope: Scope, status: int, text: str) -> Response:
    if scope["path"].startswith("/api/"):
        return JSONResponse({"error": text}, status_code=status)
    return PlainTextResponse(f"{text}\n", status_code=status)
