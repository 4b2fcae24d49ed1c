"""Claim: jobs are bounded, answered once, killed when cancelled, and survive a server's death."""

import os
import signal

import httpx
import pytest

from tests.web import slow
from tests.web.conftest import TIMEOUT, finished, is_alive, serving, until
from weightkin.errors import UnusableRegistry
from weightkin.web.jobs import MOST_WAITING, Jobs, QueueFull, WrongState
from weightkin.web.running import Runner


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


@pytest.mark.parametrize(("work", "code"), [(slow.gone, "7"), (slow.raising, "1")])
def test_a_process_that_dies_is_said_and_the_next_job_runs(jobs, run, work, code, capfd):
    run(work)
    for k in range(2):
        job = jobs.add("trace", "a", {"model": k}, "")
        until(lambda job=job: jobs.get(job.id).is_over)
        assert jobs.get(job.id).state == "failed"
        assert jobs.get(job.id).said == f"its process ended with code {code}"


def test_what_ran_when_a_server_stopped_is_interrupted(tmp_path):
    jobs = Jobs(tmp_path / "jobs.sqlite")
    first, second = (jobs.add("trace", "a", {"model": k}, "") for k in range(2))
    assert jobs.begin() == jobs.get(first.id)
    with pytest.raises(UnusableRegistry, match="held by another server"):
        Jobs(tmp_path / "jobs.sqlite")
    jobs.close()
    jobs = Jobs(tmp_path / "jobs.sqlite")
    assert jobs.get(first.id).state == "interrupted"
    assert jobs.get(second.id).state == "queued"
    jobs.close()


def test_a_file_that_is_none_of_jobs_is_refused_in_one_line(tmp_path):
    (tmp_path / "jobs.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(UnusableRegistry, match="expected a file of jobs"):
        Jobs(tmp_path / "jobs.sqlite")


def test_a_server_told_to_stop_ends_well_and_leaves_no_process(copied):
    with serving(copied, "for_ever") as (address, process), httpx.Client(timeout=TIMEOUT) as client:
        job = client.post(f"{address}/api/models/1/trace").json()["id"]
        seen = f"{address}/api/jobs/{job}"
        number = int(until(lambda: client.get(seen).json()["said"]).split()[1])
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=TIMEOUT) == 0
    until(lambda: not is_alive(number))
    jobs = Jobs(copied.with_name(f"{copied.name}.files") / "web" / "jobs.sqlite")
    assert (jobs.get(job).state, jobs.get(job).said) == ("interrupted", "the server stopped")
    jobs.close()


def test_a_server_killed_in_the_middle_of_a_job_can_be_started_again(copied):
    with serving(copied, "for_ever") as (address, process), httpx.Client(timeout=TIMEOUT) as client:
        job = client.post(f"{address}/api/compare", json={"a": 1, "b": 2}).json()["id"]
        seen = f"{address}/api/jobs/{job}"
        number = int(until(lambda: client.get(seen).json()["said"]).split()[1])
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    until(lambda: not is_alive(number))
    with serving(copied) as (address, _), httpx.Client(timeout=TIMEOUT, base_url=address) as client:
        assert client.get(f"/api/jobs/{job}").json()["state"] == "interrupted"
        assert "Run again" in client.get(f"/jobs/{job}").text
        assert client.post(f"/api/jobs/{job}/rerun").status_code == 202
        assert finished(address, job)["state"] == "done"
        assert client.get(f"/api/jobs/{job}/record").json()["verdict"] == "dependent"
