"""Every job in a process of its own, which can be killed at any moment and dies with the server."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from weightkin.errors import UnusableRegistry
from weightkin.processes import Answered, Ended, Lost, Process, Said, Say, listen
from weightkin.web.jobs import Job, Jobs

Work = Callable[[str, dict[str, Any], Say], str]  # kind, what was asked, progress: the record
MAX_JOB_SECONDS = 6 * 3600.0  # seconds of one job
RETRY_SECONDS = 10.0  # seconds from one look at a file of jobs that cannot be used to the next
LOST = "the server could not finish it, and says why where it was started"


class Runner:
    """Threads that take jobs in order, each giving one at a time to a new process.

    Parameters
    ----------
    jobs : Jobs
        Where they are taken from and what became of them is written to.
    work : callable
        Runs in the process; importable by its name.
    n_slots : int
        Jobs that run at once.
    after : callable
        Called whenever a job is over, however it ended.
    is_ours : callable
        Whether a job is done here; another one fails.
    """

    def __init__(
        self,
        jobs: Jobs,
        work: Work,
        n_slots: int = 1,
        *,
        after: Callable[[], None] = lambda: None,
        is_ours: Callable[[Job], bool] = lambda _: True,
    ) -> None:
        self._jobs = jobs
        self._work = work
        self._is_ours = is_ours
        self._after = after
        multiprocessing.get_context("forkserver").set_forkserver_preload([work.__module__])
        self._running: dict[int, Process] = {}
        self._cancelled: set[int] = set()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"jobs-{k}", daemon=True)
            for k in range(n_slots)
        ]
        for thread in self._threads:
            thread.start()

    def cancel(self, number: int) -> bool:
        """Cancel a job: one that waits never begins, one that runs is killed. Whether it was."""
        with self._jobs.changed:
            if self._jobs.cancel_queued(number):
                self._after()
                return True
            job = self._jobs.get(number)
            if job is None or job.state != "running":
                return False
            self._cancelled.add(number)
            process = self._running.get(number)
            if process is not None:
                process.kill()
            return True

    def close(self) -> None:
        """Stop all work; what was running is interrupted."""
        with self._jobs.changed:
            self._is_closed = True
            for process in self._running.values():
                process.kill()
            self._jobs.changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while (job := self._next()) is not None:
            is_over = threading.Event()
            doing = threading.Thread(target=self._do, args=(job, is_over), daemon=True)
            try:
                doing.start()  # a bug ends this thread alone, with its traceback
            except RuntimeError as error:
                _print(str(error))
            else:
                doing.join()
            if not is_over.is_set():
                self._settle(job)

    def _next(self) -> Job | None:
        """Wait for a job to do; none when all is closed."""
        with self._jobs.changed:
            while not self._is_closed:
                pause = None
                try:
                    job = self._jobs.begin()
                    if job is not None:
                        return job
                except UnusableRegistry as error:
                    _print(str(error))
                    pause = RETRY_SECONDS
                self._jobs.changed.wait(pause)
        return None

    def _do(self, job: Job, is_over: threading.Event) -> None:
        try:
            self._end(job, self._run(job))
        except UnusableRegistry as error:  # a full disk, or a record that is too large for the file
            _print(str(error))
        else:
            is_over.set()

    def _run(self, job: Job) -> Answered | Ended:
        """Give a job to a process of its own, and wait for the answer."""
        if not self._is_ours(job):
            return Answered(Lost("this job was asked of another registry"))
        try:
            process = Process(self._work)
        except (EOFError, OSError) as error:
            return Answered(Lost(f"no process could be started ({error})"))
        try:
            with self._jobs.changed:
                self._running[job.id] = process
                if self._is_closed or job.id in self._cancelled:
                    process.kill()
            process.ask(job.kind, {**job.asked, "job": job.id})
            return self._listen(job, process)
        finally:
            process.end()

    def _end(self, job: Job, result: Answered | Ended) -> None:
        """Write down what became of a job, and forget at once what it alone needed."""
        with self._jobs.changed:
            if job.id in self._cancelled:
                self._jobs.end(job.id, "cancelled")
            elif isinstance(result, Ended) and self._is_closed:
                self._jobs.end(job.id, "interrupted", "the server stopped")
            elif isinstance(result, Ended):
                self._jobs.end(job.id, "failed", f"its process {result}")
            elif isinstance(result.value, Lost):
                self._jobs.end(job.id, "failed", result.value.why)
            else:
                self._jobs.end(job.id, "done", record=result.value)
            self._forget(job)

    def _settle(self, job: Job) -> None:
        """End a job that nothing else could end."""
        try:
            with self._jobs.changed:
                self._jobs.end(job.id, "failed", LOST)
                self._forget(job)
        except (UnusableRegistry, OSError) as error:  # the next start ends it, and tidies up
            _print(str(error))

    def _forget(self, job: Job) -> None:
        self._running.pop(job.id, None)
        self._cancelled.discard(job.id)
        self._after()

    def _listen(self, job: Job, process: Process) -> Answered | Ended:
        """Pass on what a process says until it answers or is gone."""
        until = time.monotonic() + MAX_JOB_SECONDS
        while (left := until - time.monotonic()) > 0:
            for _, message in listen([process], left):
                if not isinstance(message, Said):
                    return message
                self._jobs.say(job.id, message.text)
        process.kill()
        return Answered(Lost(f"stopped after {MAX_JOB_SECONDS / 3600:.0f} hours"))


def _print(text: str) -> None:
    print(f"weightkin: {text}", file=sys.stderr)
