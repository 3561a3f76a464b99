"""Shards on processes that Ray starts: killed and failing workers, clusters that are not there."""

from __future__ import annotations

import errno
import functools
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
from evenset.models.errors import InvalidInput, RunError
from evenset.models.settings import WorkerSettings
from evenset.workflows.runs import shards
from evenset.workflows.runs.shards import Executor

TWO = Executor("2")


def square(number):
    return number**2


def fall_over(work):
    """Kills its process where nobody has before."""
    number, folder = work
    mark = Path(folder) / str(number)
    if number % 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def fail_on_three(work):
    number, folder = work
    with (Path(folder) / str(number)).open("a") as file:
        file.write("tried\n")
    if number == 3:
        raise ValueError("three is too many")
    return number


@pytest.mark.slow
def test_every_shard_is_done_once_and_processes_end():
    assert sorted(shards.results(list(range(7)), square, TWO)) == [(i, i**2) for i in range(7)]
    import ray

    assert not ray.is_initialized()


def sleep_for_long(_):
    time.sleep(3600)


@pytest.mark.slow
def test_a_stop_does_not_wait_for_a_shard():
    began = time.monotonic()

    def stop():
        raise RunError("it was stopped")

    with pytest.raises(RunError, match="it was stopped"):
        list(shards.results([1, 2, 3], sleep_for_long, TWO, stop))
    assert time.monotonic() - began < 600
    import ray

    assert not ray.is_initialized()


@pytest.mark.slow
def test_killed_workers_are_replaced(tmp_path):
    work = [(i, str(tmp_path)) for i in range(6)]
    assert sorted(shards.results(work, fall_over, TWO)) == [(i, i**2) for i in range(6)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "3", "5"]


@pytest.mark.slow
def test_a_shard_that_fails_three_times_is_named_and_the_others_are_done(tmp_path):
    done = []
    with pytest.raises(RunError, match="1 shard of 5 failed 3 times: three is too many"):
        done.extend(place for place, _ in shards.results([(i, str(tmp_path)) for i in range(5)], fail_on_three, TWO))
        pytest.fail("it did not fail")
    assert (tmp_path / "3").read_text().count("tried") == 3
    assert all((tmp_path / str(i)).read_text().count("tried") == 1 for i in (0, 1, 2, 4))


def fill_the_disk(_):
    raise OSError(errno.ENOSPC, "No space left on device", "/tmp/part")


@pytest.mark.slow
def test_a_full_disk_is_named_with_its_machine():
    with pytest.raises(RunError, match=rf"failed 3 times: the disk of {socket.gethostname()} is full \(/tmp/part\)"):
        list(shards.results([1], fill_the_disk, TWO))


def test_a_full_store_of_ray_is_told_in_words():
    pytest.importorskip("ray")
    from ray.exceptions import OutOfDiskError

    assert shards._reason(OutOfDiskError()) == "the disk of a worker's machine is full: make room there"


def die_on_one(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.slow
def test_a_shard_that_kills_each_worker_is_given_up():
    done = []
    with pytest.raises(RunError, match="1 shard of 4 failed 3 times: .*worker died"):  # noqa: PT012
        for place, _ in shards.results(list(range(4)), die_on_one, TWO):
            done.append(place)  # noqa: PERF401
    assert sorted(done) == [0, 2, 3]


@pytest.mark.slow
def test_a_reader_that_leaves_ends_the_processes():
    import ray

    results = shards.results(list(range(50)), square, TWO)
    next(results)
    assert ray.is_initialized()
    results.close()
    assert not ray.is_initialized()


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["ray", "ray://127.0.0.1:9"])
def test_a_cluster_that_is_not_there_says_what_to_do(workers, monkeypatch):
    from ray._private import services

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(
        services, "find_gcs_addresses", functools.cache(set)
    )  # another test may have a cluster on this machine
    monkeypatch.setattr(services, "find_bootstrap_address", lambda folder: None)
    with pytest.raises(InvalidInput, match="start one by `ray start --head`, or give a number of processes"):
        list(shards.results([1], square, Executor(workers)))


@pytest.mark.slow
def test_a_gpu_that_no_worker_has():
    with pytest.raises(InvalidInput, match="the cluster has no GPU, and device is 'cuda'"):
        list(shards.results([1], square, Executor("1", needs_gpu=True)))


def test_a_cluster_without_evenset_is_told_so(monkeypatch):
    import ray

    class Cluster:
        exceptions = ray.exceptions

        @staticmethod
        def remote(function):
            return type("Task", (), {"remote": staticmethod(lambda: None)})

        @staticmethod
        def get(task):
            raise ray.exceptions.RaySystemError("No module named 'evenset'")

    with pytest.raises(
        InvalidInput, match=r"cannot be used on the cluster \(.*No module named 'evenset'.*same version"
    ):
        shards._check(Cluster, Executor("ray"))


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InvalidInput, match=r"pip install 'evenset\[cluster\]'"):
        list(shards.results([1], square, TWO))


@pytest.mark.parametrize("workers", ["many", "0", 0, "-1", -1, 10_000, True, 2.5, "2.5", "ray:/x", "ray://head", " "])
def test_workers_that_are_none_are_refused(workers):
    with pytest.raises(ValueError, match="workers has to be"):
        WorkerSettings(workers=workers)


@pytest.mark.parametrize("workers", [2, "2", "ray", "ray://head:10001", None])
def test_workers_are_a_number_or_a_cluster(workers):
    assert WorkerSettings(workers=workers).workers == (None if workers is None else str(workers))
