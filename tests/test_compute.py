"""Claim: work gives the same anywhere; a dead worker costs at most the item it was at."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace

import numpy as np
import pytest

from tests.commands import run as command
from tests.lineage.simulated import base, trained_on
from tests.registry.conftest import write
from tests.web.conftest import is_alive
from tests.work import double, touch
from weightkin import Registry, family_graph
from weightkin.api.sketch import sketch_files
from weightkin.compute import AHEAD, Execution, run
from weightkin.errors import OutOfReach, UnreadableModel, UsageError
from weightkin.lineage import collection
from weightkin.processes import Lost


@contextmanager
def two_workers():
    """A cluster of this machine."""
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as started,
    ):
        yield started


@pytest.fixture(scope="module")
def cluster():
    with two_workers() as started:
        yield started


@pytest.fixture
def mortal():
    """A cluster of its own for a test that kills workers: nobody waits for those to come back."""
    with two_workers() as started:
        yield started


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Root -> child -> grandchild, another child, two strangers."""
    folder = tmp_path_factory.mktemp("six")
    rng = np.random.default_rng(11)
    root = base(rng)
    child = trained_on(root, rng)
    made = {
        "root": root,
        "child": child,
        "grandchild": trained_on(child, rng),
        "sibling": trained_on(root, rng),
        "stranger": base(rng),
        "another": base(rng),
    }
    return [write(folder / name, arrays) for name, arrays in made.items()]


@pytest.fixture(params=["here", "processes", "cluster"])
def where(request):
    """All three, for the one contract."""
    if request.param == "cluster":
        return {"cluster": request.getfixturevalue("cluster").scheduler_address}
    return {"workers": 1 if request.param == "here" else 2}


def test_results_come_in_order(where):
    assert list(run(double, range(40), **where)) == [2 * x for x in range(40)]
    assert list(run(double, [], **where)) == []


def test_what_kills_its_worker_is_lost_alone(tmp_path):
    items = [1, "killer", 2, tmp_path / "flag", "bug", 3]
    first, killer, second, again, bug, third = run(double, items, workers=2)
    assert (first, second, third) == (2, 4, 6)
    assert again == "second time"
    assert killer == Lost("the process that read it was killed (SIGKILL), twice")
    assert bug == Lost("the process that read it failed (1)")


def test_what_kills_workers_of_a_cluster_is_lost_alone(mortal, tmp_path):
    items = [1, "killer", 2, tmp_path / "flag", "bug", 3]
    first, killer, second, again, bug, third = run(double, items, cluster=mortal.scheduler_address)
    assert (first, second, third) == (2, 4, 6)
    assert again == "second time"
    assert killer == Lost("killed 2 workers, with nothing else at work")
    assert bug == Lost("failed on its worker: TypeError: no number")


def test_few_results_wait(tmp_path):
    """Work stops where nobody asks for more."""
    found = run(touch, [tmp_path / str(k) for k in range(100)], workers=2)
    for _ in range(3):
        next(found)
    found.close()
    assert 3 <= len(list(tmp_path.iterdir())) <= 3 + 2 * AHEAD


INTERRUPTED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores it
from tests.work import whoami
from weightkin.compute import run
if __name__ == "__main__":
    for x in run(whoami, [0, 0, "slow", "slow", 0], workers=2):
        print(x, flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_workers_end_with_who_started_them_and_without_a_word(tmp_path, how):
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    running = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,
    )
    try:
        workers = {int(running.stdout.readline()) for _ in range(2)}
        os.kill(running.pid, how)
        _, said = running.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):  # nobody is left, if all went well
            os.killpg(running.pid, signal.SIGKILL)
    if how == signal.SIGINT:
        assert said.count("Traceback") == 1
        assert said.endswith("KeyboardInterrupt\n")
    else:
        assert said == ""
    assert not any(is_alive(pid) for pid in workers)


def test_settings_that_cannot_be_meant_are_told_in_one_line():
    for settings, error in (
        ({"workers": 0}, UsageError),
        ({"workers": 2, "cluster": "tcp://127.0.0.1:1"}, UsageError),
        ({"cluster": "nowhere"}, UsageError),
        ({"cluster": "tls://127.0.0.1:1"}, UsageError),
        ({"cluster": "tcp://127.0.0.1:1"}, OutOfReach),
    ):
        with pytest.raises(error) as caught:
            run(double, [1], **settings)
        assert "\n" not in str(caught.value)


@pytest.mark.claim
def test_a_killed_worker_changes_nothing_in_the_tree(mortal, models, monkeypatch):
    alone = family_graph(models)
    assert len(alone.families[0]) >= 4
    doomed = [min(_workers(mortal))]

    def kill_one(name, done, in_all, read):
        if done == 1 and doomed:
            os.kill(doomed.pop(), signal.SIGKILL)

    _refuse_here(monkeypatch)  # as on a machine that sees none of them
    graph = family_graph(
        models, execution=Execution(cluster=mortal.scheduler_address, progress=kill_one)
    )
    assert replace(graph, seconds=0.0) == replace(alone, seconds=0.0)
    assert not doomed  # it was killed on the way


def _workers(cluster):
    from distributed import Client

    with Client(cluster.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=120)
        return set(client.run(os.getpid).values())


def _refuse_here(monkeypatch):
    def refuse(source):
        raise UnreadableModel(f"{source}: cannot be seen from here")

    monkeypatch.setattr(collection, "open_model", refuse)


@pytest.mark.claim
def test_several_processes_and_a_cluster_write_the_same_sketches(cluster, models, tmp_path):
    sources = models[:2]
    sketch_files([*sources, tmp_path / "no"], tmp_path / "here")
    sketch_files([*sources, tmp_path / "no"], tmp_path / "beside", execution=Execution(workers=2))
    where = ("--cluster", cluster.scheduler_address)
    done = command("sketch", *sources, tmp_path / "no", "--out", tmp_path / "far", *where)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    files = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert len(files) == 2
    for name in files:
        same = {(tmp_path / x / name).read_bytes() for x in ("here", "beside", "far")}
        assert len(same) == 1


def test_a_cluster_adds_to_a_registry_what_one_process_adds(cluster, models, tmp_path):
    sources = [*models[:3], tmp_path / "no"]
    here = Registry(tmp_path / "here.sqlite")
    far = Registry(tmp_path / "far.sqlite")
    here.add(sources)
    record = far.add(sources, execution=Execution(cluster=cluster.scheduler_address))
    assert len(record.skipped) == 1
    assert [(m.name, m.source, m.digest) for m in far.list()] == [
        (m.name, m.source, m.digest) for m in here.list()
    ]
