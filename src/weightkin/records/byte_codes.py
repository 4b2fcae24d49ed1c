"""Codes of bytes that are no weights, or unread, and of entries that are not looked into."""

from __future__ import annotations

from collections.abc import Mapping

OF_BYTES: Mapping[str, tuple[str, ...]] = {
    # bytes that are no weights
    **dict.fromkeys(("settings", "text-file", "picture", "vocabulary"), ()),
    "trainer-state": (),
    # bytes that are not read
    **dict.fromkeys(("no-tensor", "not-blank", "too-dense", "behind-values"), ()),
    **dict.fromkeys(("tensor-unread", "unknown-field"), ()),
    **dict.fromkeys(("other-weights", "lfs-pointer", "not-as-named", "no-picture"), ()),
    **dict.fromkeys(("unknown-kind", "json-large", "json-broken", "json-numbers"), ()),
    **dict.fromkeys(("text-encoded", "text-dense", "text-of-numbers", "not-fetched"), ()),
    **dict.fromkeys(("format-unread", "begun-as"), ("format",)),
    "unknown-large": ("n_bytes",),
    "file-unread": ("error",),
    # entries of a folder that are not looked into
    **dict.fromkeys(("not-listed", "link-to-nothing"), ("error",)),
    "link-outside": (),
    "no-regular-file": ("kind",),
    "more-entries": ("n",),
}
