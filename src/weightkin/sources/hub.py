"""Models on a hub: a name and a revision become a commit, its files, and how to open each.

The environment is that of huggingface-hub: HF_ENDPOINT, HF_TOKEN (or a token stored by a login),
HF_HOME and HF_HUB_CACHE, HF_HUB_OFFLINE, HF_HUB_DOWNLOAD_TIMEOUT. A file that its cache holds is
read there; of any other only the ranges needed are fetched, and nothing is added to the cache.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from weightkin.errors import OutOfReach
from weightkin.sources.files import File, Folder
from weightkin.sources.local import LocalFile, home_of, opened, readable
from weightkin.sources.ranges import RemoteFile
from weightkin.text import located, quoted, shown, unreadable

if TYPE_CHECKING:
    from weightkin.sources.transfer import Transfer

SCHEME = "hf://"
ENDPOINT = "https://huggingface.co"
MAX_LISTING = 32 << 20  # bytes of the answer that lists a repository
PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
NAME = re.compile(rf"({PART}(?:/{PART})?)(?:@([^:\\\s]+))?(?::(.+))?", re.ASCII)
COMMIT = re.compile(r"[0-9a-f]{40}")
TRUE = ("1", "ON", "YES", "TRUE")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user named: a repository and a revision."""

    repository: str  # org/name
    revision: str
    part: str = ""  # a file or folder inside it, its parts joined by /

    @property
    def source(self) -> str:
        """The name without the revision."""
        return f"{SCHEME}{self.repository}" + (f":{self.part}" if self.part else "")


@dataclass(frozen=True, slots=True)
class Repository:
    """One commit of a repository, and all files in it."""

    asked: Asked
    commit: str
    folder: Folder
    out_of_reach: str = ""  # of files in the cache: why no others can be had


def is_hub_name(source: str) -> bool:
    """Whether a source without scheme can be ``org/name``, a revision or a file behind it."""
    match = NAME.fullmatch(source)
    return match is not None and "/" in match[1] and ".." not in match[1]


def repository_of(source: object) -> Asked:
    """Parse ``[hf://]org/name[@revision][:file or folder]``."""
    text = str(source).removeprefix(SCHEME)
    match = NAME.fullmatch(text)
    if match is None or ".." in text or "--" in match[1]:
        what = "not the name of a model on a hub; write org/name or hf://org/name"
        raise unreadable(shown(source), what)
    repository, revision, part = match.groups()
    if part is not None and not _is_plain(part.removesuffix("/")):
        raise unreadable(shown(source), f"{quoted(part)} is not a path inside the repository")
    return Asked(repository, revision or "main", (part or "").removesuffix("/"))


def pinned(source: str, revision: str | None) -> str:
    """The source of a model at the commit that was read; as it is without one."""
    if not revision:
        return source
    asked = repository_of(source)
    rest = f":{asked.part}" if asked.part else ""
    return f"{SCHEME}{asked.repository}@{revision}{rest}"


def open_repository(asked: Asked) -> Repository:
    """Resolve a revision to its commit and list its files: the hub's word, or its cache's."""
    cache = _cache() / f"models--{asked.repository.replace('/', '--')}"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in TRUE:
        return _cached(asked, cache, "offline (HF_HUB_OFFLINE)")
    transfer = _transfer()
    where = shown(pinned(asked.source, asked.revision))
    url = f"{transfer.endpoint}/api/models/{asked.repository}/revision/"
    try:
        answer = transfer.document(url + quote(asked.revision, safe=""), where, MAX_LISTING)
    except OutOfReach as error:
        return _cached(asked, cache, str(error).removeprefix(f"{where}: "))
    commit, names = _listing(where, answer)
    path = PurePosixPath(f"{asked.repository}@{commit[:12]}")
    root = f"{transfer.endpoint}/{asked.repository}/resolve/{commit}/"
    open_file = _OnServer(path, names, root, transfer, cache / "snapshots" / commit)
    return Repository(asked, commit, Folder(path, names, open_file))


@dataclass(frozen=True, slots=True)
class _OnServer:
    """Opens a file of one commit: in the cache if it is there, else on the hub."""

    path: PurePosixPath
    names: Sequence[str]
    root: str
    transfer: Transfer
    snapshot: Path

    def __call__(self, name: str) -> File:
        cached = self.snapshot / name
        with readable(cached):
            if cached.is_file():
                return LocalFile(cached, (home_of(self.snapshot),))
        if name not in self.names:
            raise unreadable(self.path / name, "no such file")
        return RemoteFile(self.path / name, self.root + quote(name, safe=""), self.transfer)


@dataclass(frozen=True, slots=True)
class _InCache:
    """Opens a file of a snapshot; what is not there is out of reach."""

    folder: Path
    names: Sequence[str]
    why: str

    def __call__(self, name: str) -> File:
        if name not in self.names:
            raise OutOfReach(f"{located(self.folder / name)}: not in the cache, and {self.why}")
        return LocalFile(self.folder / name, (home_of(self.folder),))


def _cached(asked: Asked, cache: Path, why: str) -> Repository:
    """The snapshot in the cache, if there is one."""
    where = shown(pinned(asked.source, asked.revision))
    commit = asked.revision
    ref = cache / "refs" / asked.revision
    with readable(ref):
        if ref.is_file():
            with opened(ref) as handle:
                commit = handle.read(64).decode("ascii", "replace").strip()
    folder = cache / "snapshots" / commit
    names: list[str] = []
    if COMMIT.fullmatch(commit):
        found = (
            (Path(at) / name).relative_to(folder).as_posix()
            for at, _, files in os.walk(folder)
            for name in files
        )
        names = sorted(name for name in found if _is_plain(name))
    lacking = f"{where}: {why}; the model is not in the cache ({cache})"
    if not names:
        raise OutOfReach(lacking)
    return Repository(asked, commit, Folder(folder, names, _InCache(folder, names, why)), lacking)


def _listing(where: str, answer: bytes) -> tuple[str, Sequence[str]]:
    """Commit and names of the files of a repository, as the hub lists them."""
    data: Any = None
    try:
        data = json.loads(answer.decode("utf-8"))
        commit, files = str(data["sha"]), data["siblings"]
        names = sorted({str(file["rfilename"]) for file in files})
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        what = f"the hub's list of files cannot be read ({type(error).__name__})"
        raise unreadable(where, what) from None
    if not COMMIT.fullmatch(commit):
        raise unreadable(where, f"the hub's commit {quoted(commit)} is not 40 hexadecimal digits")
    return commit, [name for name in names if _is_plain(name)]


def _is_plain(path: str) -> bool:
    """Whether a path stays inside its repository and shows as it is; nothing hidden."""
    parts = path.split("/")
    return (
        path.isprintable()
        and "\\" not in path
        and not any(not part or part.startswith(".") for part in parts)
    )


def _transfer() -> Transfer:
    from weightkin.sources.transfer import Transfer  # much to load

    endpoint = (os.environ.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s?#]*)?", endpoint):
        raise unreadable("HF_ENDPOINT", f"{quoted(endpoint)} is not the address of a hub")
    seconds = os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT", "")
    timeout = float(seconds) if re.fullmatch(r"[0-9]{1,6}", seconds) and int(seconds) else 30.0
    return Transfer(endpoint, _token(), timeout)


def _token() -> str | None:
    """The token of the environment or of a login, where it is not switched off."""
    from huggingface_hub import get_token

    if os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").upper() in TRUE:
        return None
    token = get_token()
    return token if token and token.isascii() and token.isprintable() else None


def _cache() -> Path:
    """The folder of the hub's own cache."""
    for key in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if folder := os.environ.get(key):
            return Path(folder).expanduser()
    home = os.environ.get("HF_HOME")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home or f"{base}/huggingface").expanduser() / "hub"
