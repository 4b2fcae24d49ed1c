"""Bytes over HTTP: ranges with retries and resumption, redirects that do not carry the token.

A server is hostile until checked: answers are bounded before they are read, a range that was not
asked for is refused, and the token goes to the hub's own address and nowhere else.
"""

from __future__ import annotations

import http.client
import logging
import re
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, fields
from email.utils import parsedate_to_datetime
from itertools import count
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from weightkin.errors import OutOfReach, UnreadableModel
from weightkin.text import quoted, shown, unreadable

TRIES = 6  # of one range; a resumed one counts
BACKOFF = 0.5  # seconds before the second try, doubled before each further one
WORTH_SAYING = 1.0  # seconds of a wait that is worth a word
LONGEST_WAIT = 300.0  # seconds a server may ask us to wait
SLOWEST = 10_000  # bytes a second below which an answer counts as cut
MAX_REDIRECTS = 5
MAX_SAID = 1 << 16  # bytes read of an answer that is no success
PASSING = (408, 429, 500, 502, 503, 504)  # statuses that may be gone at the next try
LOST = (401, 403, 404, 410)  # what a file store says of an address that has run out
REDIRECTS = (301, 302, 303, 307, 308)
Address = tuple[str, str, int]
LOGGER = logging.getLogger("weightkin.hub")  # progress and waits, for whoever listens


@dataclass(slots=True)
class Reply:
    """One answer. ``cut`` says why the body ended early, or why there is none."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: str = ""


@dataclass(slots=True)
class Transfer:
    """Requests to one hub and the stores it points to; safe to use from several threads."""

    endpoint: str
    token: str | None = None
    timeout: float = 30.0
    n_requests: int = 0
    n_bytes: int = 0  # received
    direct: dict[str, str] = field(default_factory=dict)  # where a file was found in the store
    idle: dict[Address, list[http.client.HTTPConnection]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __getstate__(self) -> dict[str, Any]:
        """What travels to another process: no connections."""
        kept = {f.name: getattr(self, f.name) for f in fields(self)}
        return {key: kept[key] for key in kept if key not in ("idle", "lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # as `replace` of a dataclass does

    def document(self, url: str, where: str, limit: int) -> bytes:
        """Fetch a whole answer of at most ``limit`` bytes."""
        for n_done in count():
            reply = self._follow(url, where, None, limit)
            if len(reply.body) > limit:
                raise unreadable(where, f"the hub's answer has more than {limit} bytes")
            if not reply.cut:
                break
            self._wait(reply, where, n_done)
        return reply.body

    def range(self, url: str, where: str, start: int, stop: int) -> tuple[bytes, int]:
        """Fetch bytes ``start:stop`` and the size of the file; cut ranges are taken up again."""
        got, size = bytearray(), -1
        for n_done in count():
            reply = self._follow(url, where, (start + len(got), stop), stop - start - len(got))
            if reply.status in (200, 206):
                size = _size(reply)
                got += reply.body
            if reply.status == 416:
                size = _size(reply)
                break
            if not reply.cut:
                break
            self._wait(reply, where, n_done)
        return bytes(got), size

    def _wait(self, reply: Reply, where: str, n_done: int) -> None:
        wait = max(_asked(reply.headers), BACKOFF * 2**n_done)
        if n_done + 1 == TRIES:
            raise OutOfReach(f"{where}: cannot read from the hub ({TRIES} attempts: {reply.cut})")
        if wait > LONGEST_WAIT:
            raise OutOfReach(f"{where}: the hub asks to wait {wait:.0f} s ({reply.cut})")
        if wait < WORTH_SAYING:
            time.sleep(wait)
            return
        who = "the hub asks to wait" if _asked(reply.headers) else "waiting"
        LOGGER.info("%s: %s, %s %.0f s", where, reply.cut, who, wait)
        time.sleep(wait)
        LOGGER.info("%s: asking again", where, extra={"is_last": True})

    def _follow(self, url: str, where: str, span: tuple[int, int] | None, limit: int) -> Reply:
        """One request and the redirects it leads to; the place in the store is remembered."""
        at = self.direct.get(url, url) if span else url
        for _ in range(MAX_REDIRECTS + 1):
            reply = self._once(at, where, span, limit)
            if reply.status in REDIRECTS:
                at = _next(at, reply.headers.get("location", ""), where)
            elif reply.status in LOST and at == self.direct.get(url):
                del self.direct[url]  # signed for a while only
                at = url
            elif reply.cut or reply.status in (200, 206) or (span and reply.status == 416):
                if span and at != url and reply.status == 206:
                    self.direct[url] = at
                return reply
            else:
                raise _refusal(reply, where)
        raise unreadable(where, f"more than {MAX_REDIRECTS} redirects")

    def _once(self, url: str, where: str, span: tuple[int, int] | None, limit: int) -> Reply:
        address, headers = _address(url), {"Accept-Encoding": "identity", "User-Agent": "weightkin"}
        if self.token and address == _address(self.endpoint):
            headers["Authorization"] = f"Bearer {self.token}"
        if span:
            headers["Range"] = f"bytes={span[0]}-{span[1] - 1}"
        for is_fresh in (False, True):
            connection, target = self._connection(url, address, is_fresh=is_fresh)
            was_idle = connection.sock is not None
            try:
                with self.lock:
                    self.n_requests += 1
                connection.request("GET", target, headers=headers)
                answer = connection.getresponse()
            except (OSError, http.client.BadStatusLine) as error:
                connection.close()
                if not was_idle:
                    return Reply(cut=_why(error))
                continue  # the server had closed what we kept
            except (http.client.HTTPException, ValueError) as error:
                connection.close()
                raise unreadable(where, f"the answer is not HTTP ({shown(error)})") from None
            break
        reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()})
        try:
            n = _bounded(reply, where, span, limit)
            reply.body, reply.cut = self._body(answer, n)
        except (UnreadableModel, http.client.HTTPException):
            connection.close()
            raise
        if reply.cut or not answer.isclosed() or answer.will_close:
            connection.close()
        else:
            with self.lock:
                self.idle.setdefault(address, []).append(connection)
        if reply.status in PASSING:
            reply.cut = f"HTTP status {reply.status}"
        return reply

    def _body(self, answer: http.client.HTTPResponse, n: int) -> tuple[bytes, str]:
        """At most n bytes, and why there are fewer than announced."""
        body, deadline = bytearray(), time.monotonic() + self.timeout + n / SLOWEST
        cut = ""
        try:
            while len(body) < n:
                part = answer.read1(min(n - len(body), 1 << 18))
                if not part:
                    break
                body += part
                if time.monotonic() > deadline:
                    cut = "answer too slow"
                    break
            if len(body) == n and not answer.isclosed():
                answer.read1(1)  # lets http.client see the end, so that the connection is kept
        except (OSError, http.client.IncompleteRead, ValueError) as error:
            cut = _why(error)
        is_short = answer.length or (answer.status == 206 and len(body) < n)
        if not cut and answer.status in (200, 206) and is_short:
            cut = "answer cut short"
        with self.lock:
            self.n_bytes += len(body)
        return bytes(body), cut

    def _connection(
        self, url: str, address: Address, *, is_fresh: bool
    ) -> tuple[http.client.HTTPConnection, str]:
        """A connection and what to ask it for, through the proxy that the environment names."""
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        scheme, host, port = address
        proxy = "" if proxy_bypass(host) else getproxies().get(scheme, "")
        plain = f"http://{parts.netloc}{target}" if proxy and scheme == "http" else target
        with self.lock:
            kept = self.idle.get(address)
            if kept and not is_fresh:
                return kept.pop(), plain
        via = urlsplit(proxy if "//" in proxy else f"//{proxy}") if proxy else None
        kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
        if via is None or not via.hostname:
            return kind(host, port, timeout=self.timeout), target
        connection = kind(via.hostname, via.port or 80, timeout=self.timeout)
        if scheme == "https":
            connection.set_tunnel(host, port)
        return connection, plain


def _bounded(reply: Reply, where: str, span: tuple[int, int] | None, limit: int) -> int:
    """How many bytes of the body to read, if the answer is to what was asked."""
    if reply.status not in (200, 206):
        return MAX_SAID
    if reply.headers.get("content-encoding", "identity") != "identity":
        raise unreadable(where, "the server sent a compressed answer, though none was requested")
    length = reply.headers.get("content-length", "")
    announced = int(length) if re.fullmatch(r"[0-9]{1,18}", length) else -1
    if span is None:
        if announced > limit:
            raise unreadable(where, f"the hub's answer has more than {limit} bytes ({announced})")
        return limit + 1
    if reply.status == 200:  # the range was ignored: harmless only where it holds the whole file
        if span[0] or not 0 <= announced <= limit:
            what = f"the server ignores ranges (bytes {span[0]}-{span[1] - 1} were requested"
            raise unreadable(where, f"{what}, it sends {quoted(length)})")
        return announced
    said = reply.headers.get("content-range", "")
    match = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", said)
    first, last, size = map(int, match.groups()) if match else (-1, -1, -1)
    n = last - first + 1
    if first != span[0] or last != min(span[1], size) - 1 or announced not in (-1, n):
        what = f"the server sent {quoted(said)} ({quoted(length)} bytes)"
        raise unreadable(where, f"{what}, not bytes {span[0]}-{span[1] - 1}")
    return n


def _size(reply: Reply) -> int:
    """Size of the whole file, as the answer to a range says."""
    if reply.status == 200:
        return int(reply.headers["content-length"])
    size = reply.headers.get("content-range", "").rpartition("/")[2]
    return int(size) if re.fullmatch(r"[0-9]{1,18}", size) else -1


def _asked(headers: dict[str, str]) -> float:
    """Seconds a server wants us to wait: Retry-After, as a number or a date."""
    said = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", said):
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _refusal(reply: Reply, where: str) -> UnreadableModel:
    said = reply.headers.get("x-error-message", "")
    status = f"HTTP status {reply.status}" + (f", {quoted(said)}" if said else "")
    what = {
        401: "not public; set HF_TOKEN to a token that may read it",
        403: "access denied; accept its terms with the account of the token in HF_TOKEN",
        404: "no such model, revision or file on the hub",
    }
    return unreadable(where, f"{what.get(reply.status, 'the hub refuses to answer')} ({status})")


def _next(url: str, location: str, where: str) -> str:
    """Where a redirect leads, if that is a web address no less guarded than the one before."""
    target, scheme, host = location, "", ""
    with suppress(ValueError):  # what is no address has no host
        target = urljoin(url, location)
        scheme, host, _ = _address(target)
    is_down = urlsplit(url).scheme == "https" and scheme != "https"
    if not location or scheme not in ("http", "https") or not host or is_down:
        raise unreadable(where, f"refused: a redirect to the less secure address {quoted(target)}")
    return target


def _address(url: str) -> Address:
    parts = urlsplit(url)
    usual = 443 if parts.scheme == "https" else 80
    return parts.scheme, parts.hostname or "", parts.port or usual


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError | socket.timeout):
        return "no answer in time"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return shown(said)
