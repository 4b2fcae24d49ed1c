"""One connection of the server: whoever keeps it waiting is closed, and there are not too many.

A visitor owes the server the head of a request, then its body, and has to take the answer. Each
has an end. Where all places are taken, whoever has been silent longest makes room.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 200  # connections
HEAD_SECONDS = 10.0  # from opening, or the end of an answer, to a whole head
PAUSE_SECONDS = 10.0  # between two pieces of a body, or of an answer that is taken
BODY_SECONDS = 300.0  # for a whole body
CONNECTION_LOOK_SECONDS = 1.0  # from one look at a connection to the next


class Connection(H11Protocol):
    """A connection that is looked at every second, for as long as it is open."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head; make room where there is none."""
        super().connection_made(transport)
        self._since = self._moved = self.loop.time()
        self._left = 0  # bytes of an answer that are not taken yet
        if len(self.connections) > MAX_CONNECTIONS:
            silent = [x for x in self.connections if isinstance(x, Connection) and x.is_silent]
            min(silent, key=lambda x: x._since, default=self).transport.abort()
        self._looking = self.loop.call_later(CONNECTION_LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no longer."""
        self._looking.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Note that something came, and whether a request began with it."""
        was_silent = self.is_silent
        self._moved = self.loop.time()
        super().data_received(data)
        if was_silent and not self.is_silent:
            self._since = self._moved

    def on_response_complete(self) -> None:
        """Begin to wait for the next head."""
        self._since = self.loop.time()
        super().on_response_complete()

    @property
    def is_silent(self) -> bool:
        """Whether a head is waited for."""
        cycle: Any = self.cycle
        return cycle is None or cycle.response_complete

    def _look(self) -> None:
        """Close a connection that waits for its visitor too long."""
        now, left = self.loop.time(), self.transport.get_write_buffer_size()
        if left < self._left or (left and not self._left):
            self._moved = now
        self._left = left
        is_owed = not self.is_silent and self.cycle.more_body and not self.flow.read_paused
        if self.is_silent and not left and now - self._since > HEAD_SECONDS:
            self.transport.close()
            return
        is_slow = is_owed and now - self._since > BODY_SECONDS
        if is_slow or ((is_owed or left) and now - self._moved > PAUSE_SECONDS):
            self.transport.abort()
            return
        self._looking = self.loop.call_later(CONNECTION_LOOK_SECONDS, self._look)
