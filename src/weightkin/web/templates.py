"""The look of all pages: their templates, and the files that they need."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import HTMLResponse, Response

from weightkin.report.html.environment import GRAPH_SCRIPTS, environment, static_bytes

MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
         "svg": "image/svg+xml"}  # fmt: skip
FILES = ("style.css", "mark.svg", "page.js", "server.js", *GRAPH_SCRIPTS)


@dataclass(frozen=True)
class Templates:
    """The look of all pages."""

    has_token: bool = False
    files: dict[str, bytes] = field(default_factory=lambda: {x: static_bytes(x) for x in FILES})

    def page(self, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """One template as an answer."""
        found = environment(is_served=True).get_template(f"web/{template}")
        text = found.render(**values, static=self.address, has_token=self.has_token)
        return HTMLResponse(text, status_code=status)

    def address(self, name: str) -> str:
        """Where a file of the pages lies; another address for other contents."""
        return f"/static/{hashlib.sha256(self.files[name]).hexdigest()[:16]}/{name}"

    def file(self, name: str) -> Response | None:
        """One file, to be kept by the browser for good."""
        if name not in self.files:
            return None
        kind = MEDIA_TYPES[name.rsplit(".", 1)[-1]]
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(self.files[name], media_type=kind, headers=headers)
