"""Claim: an upload is on the disk while its search waits or runs, and not a moment longer."""

import io
import json

import pytest

from tests.web import slow
from tests.web.conftest import copy_of, until
from weightkin import Registry
from weightkin.errors import UnusableRegistry
from weightkin.formats.model import SKETCH_KEY
from weightkin.web.jobs import MOST_WAITING, Jobs, QueueFull, WrongState
from weightkin.web.serving import open_desk
from weightkin.web.uploads import clean_of, keep
from weightkin.web.work import work

HEAD = json.dumps({"__metadata__": {SKETCH_KEY: "1"}}).encode()
BEGUN = len(HEAD).to_bytes(8, "little") + HEAD  # as a sketch begins


@pytest.fixture
def desk(filled, tmp_path):
    with open_desk(copy_of(filled, tmp_path), work=slow.for_ever) as found:
        yield found


def upload(desk, data=b"", name="x"):
    return desk.search(io.BytesIO(BEGUN + data), name)


def kept(desk):
    return sorted(x for x in desk.uploads.rglob("*") if x.is_file())


def is_over(desk, job):
    return desk.jobs.get(job.id).is_over


def test_a_cancelled_search_leaves_no_file_and_is_not_run_again(desk):
    first, second = upload(desk, b"1"), upload(desk, b"2")
    until(lambda: desk.jobs.get(first.id).said)
    assert len(kept(desk)) == 2
    assert desk.runner.cancel(second.id)  # it waited
    assert len(kept(desk)) == 1
    assert desk.runner.cancel(first.id)  # it ran
    until(lambda: is_over(desk, first))
    assert kept(desk) == []
    with pytest.raises(WrongState, match="upload it again"):
        desk.jobs.rerun(first.id)


def test_a_file_that_two_searches_need_stays_until_both_are_over(desk):
    first, second = upload(desk, name="one"), upload(desk, name="two")
    until(lambda: desk.jobs.get(first.id).said)
    (file,) = kept(desk)
    cleaned = [clean_of(file, job.id) for job in (first, second)]
    cleaned[0].parent.mkdir()
    for path in cleaned:
        path.write_bytes(b"")
    desk.runner.cancel(first.id)
    until(lambda: is_over(desk, first))
    assert kept(desk) == sorted([file, cleaned[1]])
    desk.runner.cancel(second.id)
    until(lambda: is_over(desk, second))
    assert kept(desk) == []


def test_a_full_queue_keeps_nothing_of_what_it_refuses(desk):
    until(lambda: desk.jobs.get(upload(desk).id).said)  # it runs
    for k in range(MOST_WAITING):
        upload(desk, bytes([k]))
    n = len(kept(desk))
    for k in range(3):
        with pytest.raises(QueueFull):
            upload(desk, bytes([99, k]))
    assert len(kept(desk)) == n == MOST_WAITING + 1


def test_a_start_removes_what_a_killed_server_left(filled, tmp_path):
    registry = copy_of(filled, tmp_path)
    uploads = tmp_path / f"{registry.name}.files" / "web" / "uploads"
    (uploads / "clean").mkdir(parents=True)
    files = [uploads / x for x in ("waits", "ran", "draft.part", "clean/9.sketch.safetensors")]
    for path in files:
        path.write_bytes(b"")
    jobs = Jobs(uploads.parent / "jobs.sqlite")
    for path in (files[1], files[0]):
        jobs.add("search", "s", {"upload": str(path)}, "")
    jobs.begin()
    jobs.close()
    with open_desk(registry, work=slow.for_ever) as desk:
        assert kept(desk) == [files[0]]


def test_a_disk_that_takes_no_upload_is_said_and_keeps_no_part(tmp_path):
    target = tmp_path / "none" / "x"
    with pytest.raises(UnusableRegistry, match="the upload cannot be stored"):
        keep(io.BytesIO(b"x"), target)


def test_a_family_says_each_phase_and_how_far_it_is(filled, monkeypatch):
    class Graph:
        def to_json(self, _):
            return "{}"

    def family(self, progress):
        for k in range(4):
            progress(f"model-{k}", k, 4, 0)
        for k in range(2001):
            progress("comparing pairs", k, 2000, 0)
        return Graph()

    said = []
    monkeypatch.setattr(Registry, "family", family)
    assert work("family", {"registry": str(filled)}, said.append) == "{}"
    assert said[:2] == ["laying out 12 registered models", "model-0 0 of 4"]
    assert "comparing pairs 0 of 2,000" in said
    assert said[-1] == "comparing pairs 2,000 of 2,000"
    assert len(said) < 100
