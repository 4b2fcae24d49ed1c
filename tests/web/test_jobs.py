"""Claim: jobs are bounded, answered once, killed when cancelled, and survive a server's death."""

import array
import fcntl
import os
import signal
import termios
from multiprocessing import connection
from multiprocessing.connection import wait

import httpx
import pytest

from tests.web import slow
from tests.web.conftest import TIMEOUT, is_alive, serving, until
from weightkin.errors import UnusableRegistry
from weightkin.web import running
from weightkin.web.jobs import MOST_WAITING, Jobs, QueueFull, WrongState
from weightkin.web.running import Runner
from weightkin.web.serving import open_desk


@pytest.fixture
def jobs(tmp_path):
    found = Jobs(tmp_path / "jobs.sqlite")
    yield found
    found.close()


@pytest.fixture
def run(jobs):
    started = []

    def start(work):
        started.append(Runner(jobs, work))
        return started[-1]

    yield start
    for runner in started:
        runner.close()


def test_the_same_question_is_the_same_job_until_the_models_change(jobs):
    first = jobs.add("trace", "a", {"model": 1}, "stamp")
    assert jobs.add("trace", "a", {"model": 1}, "stamp") == first
    assert jobs.add("trace", "a", {"model": 1}, "another").id != first.id
    assert jobs.add("trace", "b", {"model": 2}, "stamp").id != first.id


def test_a_full_queue_takes_no_more(jobs):
    for k in range(MOST_WAITING):
        jobs.add("trace", "a", {"model": k}, "")
    with pytest.raises(QueueFull, match="16 jobs are waiting"):
        jobs.add("trace", "a", {"model": -1}, "")
    assert jobs.add("trace", "a", {"model": 3}, "").id == 4  # known ones are still found


def test_a_cancelled_job_leaves_no_process(jobs, run):
    runner = run(slow.for_ever)
    first, second = (jobs.add("trace", "a", {"model": k}, "") for k in range(2))
    until(lambda: jobs.get(first.id).said)
    number = int(jobs.get(first.id).said.split()[1])
    assert is_alive(number)
    assert runner.cancel(first.id)
    until(lambda: jobs.get(first.id).state == "cancelled")
    until(lambda: not is_alive(number))
    until(lambda: jobs.get(second.id).state == "running")  # the next one has its turn
    assert not runner.cancel(first.id)


def test_a_waiting_job_can_be_cancelled_and_run_again(jobs):
    job = jobs.add("trace", "a", {"model": 1}, "")
    with pytest.raises(WrongState, match="queued"):
        jobs.rerun(job.id)
    assert jobs.cancel_queued(job.id)
    assert jobs.get(job.id).state == "cancelled"
    assert jobs.begin() is None
    assert jobs.rerun(job.id).state == "queued"


@pytest.mark.parametrize(("work", "code"), [(slow.gone, 7), (slow.raising, 1)])
def test_a_process_that_dies_is_said_and_the_next_job_runs(jobs, run, work, code, capfd):
    run(work)
    for k in range(2):
        job = jobs.add("trace", "a", {"model": k}, "")
        until(lambda job=job: jobs.get(job.id).is_over)
        assert jobs.get(job.id).state == "failed"
        assert jobs.get(job.id).said == f"its process failed ({code})"


def test_a_job_cancelled_while_its_record_is_sent_leaves_the_next_its_turn(jobs, run, monkeypatch):
    first, second = (jobs.add("trace", "a", {"model": k}, "") for k in range(2))

    def cancelling(found, timeout=None):
        """As `wait`; once a part of the first record fills the pipe, the process is killed."""
        ready = wait(found, timeout)
        if len(found) != 2:  # somebody else waits
            return ready
        pipe, sentinel = found
        if pipe in ready and jobs.get(first.id).said and jobs.get(first.id).state == "running":
            until(lambda: n_waiting(pipe) >= 4096)
            assert runner.cancel(first.id)
            wait([sentinel])
        return ready

    monkeypatch.setattr(connection, "wait", cancelling)
    with jobs.changed:  # nothing begins before there is a runner to cancel it
        runner = run(slow.large)
    until(lambda: jobs.get(second.id).is_over)
    assert jobs.get(first.id).state == "cancelled"
    assert jobs.get(second.id).state == "done"
    assert len(jobs.record(second.id)) == 1 << 21


def n_waiting(pipe):
    """Bytes in a pipe that nobody has read."""
    found = array.array("i", [0])
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, found)
    return found[0]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("bug", [UnusableRegistry("full"), OverflowError("too large")])
def test_whatever_goes_wrong_ends_its_job_alone(jobs, run, monkeypatch, bug):
    write, wrong = jobs.end, [bug]

    def end(number, state, said="", record=""):
        if wrong:
            raise wrong.pop()
        write(number, state, said, record)

    monkeypatch.setattr(jobs, "end", end)
    first, second = (jobs.add("trace", "a", {"model": k}, "") for k in range(2))
    run(slow.large)
    until(lambda: jobs.get(second.id).is_over)
    assert jobs.get(first.id).state == "failed"
    assert jobs.get(first.id).said == running.LOST
    assert jobs.get(second.id).state == "done"


def test_a_file_of_jobs_that_fails_once_is_looked_at_again(jobs, run, monkeypatch, capfd):
    begin, wrong = jobs.begin, [UnusableRegistry("the disk is full")]

    def once():
        if wrong:
            raise wrong.pop()
        return begin()

    monkeypatch.setattr(jobs, "begin", once)
    monkeypatch.setattr(running, "RETRY_SECONDS", 0.01)
    job = jobs.add("trace", "a", {"model": 1}, "")
    run(slow.large)
    until(lambda: jobs.get(job.id).is_over)
    assert jobs.get(job.id).state == "done"
    assert "the disk is full" in capfd.readouterr().err


def test_what_ran_when_a_server_stopped_is_interrupted(tmp_path):
    jobs = Jobs(tmp_path / "jobs.sqlite")
    first, second = (jobs.add("trace", "a", {"model": k}, "") for k in range(2))
    assert jobs.begin() == jobs.get(first.id)
    with pytest.raises(UnusableRegistry, match="in use; does another server run"):
        Jobs(tmp_path / "jobs.sqlite")
    jobs.close()
    jobs = Jobs(tmp_path / "jobs.sqlite")
    assert jobs.get(first.id).state == "interrupted"
    assert jobs.get(second.id).state == "queued"
    jobs.close()


def test_a_file_that_is_none_of_jobs_is_refused_in_one_line(tmp_path):
    (tmp_path / "jobs.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(UnusableRegistry, match="the jobs cannot be used"):
        Jobs(tmp_path / "jobs.sqlite")


@pytest.mark.claim
def test_a_server_killed_starts_again_and_one_told_to_stop_ends_well(copied):
    with serving(copied, "for_ever") as (address, process), httpx.Client(timeout=TIMEOUT) as client:
        job = client.post(f"{address}/api/compare", json={"a": 1, "b": 2}).json()["id"]
        number = worker(client, address, job)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    until(lambda: not is_alive(number))
    with serving(copied, "for_ever") as (address, process), httpx.Client(timeout=TIMEOUT) as client:
        assert client.get(f"{address}/api/jobs/{job}").json()["state"] == "interrupted"
        assert "Run again" in client.get(f"{address}/jobs/{job}").text
        assert client.post(f"{address}/api/jobs/{job}/rerun").status_code == 202
        number = worker(client, address, job)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=TIMEOUT) == 0
    until(lambda: not is_alive(number))
    jobs = Jobs(copied.with_name(f"{copied.name}.files") / "web" / "jobs.sqlite")
    assert (jobs.get(job).state, jobs.get(job).said) == ("interrupted", "the server stopped")
    jobs.close()


def worker(client, address, job):
    """Number of the process that does a job, when it has said so."""
    return int(until(lambda: client.get(f"{address}/api/jobs/{job}").json()["said"]).split()[1])


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("trace", {"registry": "/other/r.sqlite", "model": 1}),
        ("search", {"registry": "HERE", "upload": "/etc/x.sketch.safetensors", "name": "x"}),
        ("search", {"registry": "HERE", "upload": "UPLOADS/../../x", "name": "x"}),
        ("search", {}),
    ],
)
def test_a_job_that_names_other_files_is_not_done(copied, kind, asked):
    with open_desk(copied, work=slow.for_ever) as desk:
        places = {"HERE": str(desk.registry), "UPLOADS": str(desk.uploads)}
        for mark, place in places.items():
            asked = {k: x.replace(mark, place) if k != "model" else x for k, x in asked.items()}
        job = desk.jobs.add(kind, "t", asked, "s")
        seen = until(lambda: (x := desk.jobs.get(job.id)).state == "failed" and x)
        assert "another registry" in seen.said
