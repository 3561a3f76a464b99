"""Locks of a field: threads, processes and hosts that take and release them at once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from evenset.workflows.data import durable_writes, locks, owners
from evenset.workflows.data.internals import database as fiftyone_database

OWNER = """
import sys, time
import fiftyone as fo
from evenset.workflows.data import durable_writes, locks, owners

host, name, lease_seconds, renew_seconds = sys.argv[1:]
if host != "here":
    owners.socket.gethostname = owners.machine = lambda: host
locks.LEASE_SECONDS, locks.RENEW_SECONDS = float(lease_seconds), float(renew_seconds)
dataset = fo.load_dataset(name)
try:
    with locks.lock_field(dataset, "field", run="evenset_auto_label_7"):
        print("> taken", flush=True)
        sys.stdin.readline()
        durable_writes.write_durably(dataset, lambda: print("> written", flush=True))
except (ValueError, locks.LockLost) as error:
    print(">", error, flush=True)
"""


@pytest.fixture
def dataset(make_dataset):
    return make_dataset(["/nowhere/1.png"])


@pytest.fixture
def owner(dataset):
    """owner(host, lease_seconds=60, renew_seconds=15): a process that took the lock, or says why not."""
    started = []

    def start(host, lease_seconds=60, renew_seconds=15):
        arguments = map(str, (host, dataset.name, lease_seconds, renew_seconds))
        command = [sys.executable, "-c", textwrap.dedent(OWNER), *arguments]
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(subprocess.Popen(command, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def line(process):
    """The next line that `process` says, without what libraries print."""
    return next(text.removeprefix("> ").strip() for text in process.stdout if text.startswith("> "))


def answer(process):
    process.stdin.write("\n")
    process.stdin.flush()


def documents(dataset):
    return list(fiftyone_database()[locks.COLLECTION].find({"dataset": str(dataset._doc.id)}))


def test_locks_that_come_and_go_at_once_do_not_trip_over_one_another(dataset):
    held = dict.fromkeys(["one", "two"], 0)

    def work(name):
        for _ in range(40):
            with locks.lock_field(dataset, name, wait_seconds=60):
                held[name] += 1
                assert held[name] == 1
                held[name] -= 1

    with ThreadPoolExecutor() as pool:
        list(pool.map(work, ["one", "two", "one", "two"]))  # raises what a thread raised
    assert documents(dataset) == []


def test_a_lock_has_one_owner_among_hosts_and_the_second_names_it(dataset, owner):
    first = owner("node-a")
    assert line(first) == "taken"
    sentence = f"'field' at this moment: wait for it, or stop it (evenset_auto_label_7, process {first.pid} on node-a)"

    assert line(owner("node-b")) == f"another run is writing {sentence}"
    with pytest.raises(ValueError, match=f"process {first.pid} on node-a"), locks.lock_field(dataset, "field"):
        pass
    assert not locks.is_free(dataset, "field") and locks.holder(dataset, "field").host == "node-a"

    answer(first)
    assert line(first) == "written" and first.wait(60) == 0
    assert locks.is_free(dataset, "field") and documents(dataset) == []


@pytest.mark.slow
def test_the_lock_of_a_killed_process_is_free_at_once_on_its_host_and_after_the_lease_on_another(dataset, owner):
    for host, is_free in (("here", True), ("node-a", False)):
        killed = owner(host)
        assert line(killed) == "taken"
        killed.kill()
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # it stays a zombie
        assert locks.is_free(dataset, "field") == is_free
        expire(dataset)
    assert locks.is_free(dataset, "field")
    with locks.lock_field(dataset, "field"):
        assert [row["pid"] for row in documents(dataset)] == [os.getpid()]


def expire(dataset):
    """As if the lease had run out."""
    fiftyone_database()[locks.COLLECTION].update_one(
        {"_id": f"{dataset._doc.id}/field"}, [{"$set": {"expires": "$$NOW"}}]
    )


@pytest.fixture
def elsewhere_too(monkeypatch):
    """as_host(name): this process is one of that host from now on."""

    def as_host(name):
        monkeypatch.setattr(owners, "machine", lambda: name)
        monkeypatch.setattr(socket, "gethostname", lambda: name)

    return as_host


def test_a_lease_is_renewed_while_its_owner_works(dataset, monkeypatch, elsewhere_too):
    monkeypatch.setattr(locks, "LEASE_SECONDS", 1)
    monkeypatch.setattr(locks, "RENEW_SECONDS", 0.2)
    elsewhere_too("node-a")
    with locks.lock_field(dataset, "field"):
        elsewhere_too("node-b")
        for _ in range(8):
            assert not locks.is_free(dataset, "field")
            time.sleep(0.25)
        locks.require_held(dataset)


def test_whose_lease_ran_out_goes_on_where_nobody_took_the_lock(dataset):
    with locks.lock_field(dataset, "field"):
        (lock,) = locks._held.values()
        lock.renewed -= 10 * locks.LEASE_SECONDS
        expire(dataset)
        locks.require_held(dataset)
        assert lock.age < 5 and not documents(dataset)[0]["expires"] < lock_time()


def lock_time():
    return next(fiftyone_database().aggregate([{"$documents": [{"now": "$$NOW"}]}]))["now"]


@pytest.mark.parametrize("released", [False, True])
def test_whose_lock_was_taken_does_not_write(dataset, elsewhere_too, released):
    """Also where the other has released it: what it wrote is there."""
    elsewhere_too("node-a")
    written = []
    with pytest.raises(locks.LockLost) as caught, locks.lock_field(dataset, "field"):
        (lock,) = locks._held.values()
        lock.renewed -= 10 * locks.LEASE_SECONDS
        expire(dataset)
        taken = locks.Lock(lock.dataset, "field", "")
        elsewhere_too("node-b")
        assert locks._take(taken)["token"] == taken.token
        if released:
            fiftyone_database()[locks.COLLECTION].delete_one({"_id": lock.id})
        elsewhere_too("node-a")
        durable_writes.write_durably(dataset, lambda: written.append(1))
    who = "another process" if released else f"process {os.getpid()} on node-b"
    assert str(caught.value).startswith(f"{who} has taken 'field'") and not written
    assert [row["token"] for row in documents(dataset)] == ([] if released else [taken.token])


def test_a_lock_that_a_killed_database_lost_is_written_again(dataset):
    with locks.lock_field(dataset, "field"):
        (lock,) = locks._held.values()
        fiftyone_database()[locks.COLLECTION].delete_one({"_id": lock.id})
        locks._renew(lock)
        locks.require_held(dataset)
        assert [row["token"] for row in documents(dataset)] == [lock.token]


def test_the_clock_of_a_host_does_not_matter(dataset, monkeypatch, elsewhere_too):
    for seconds in (-86_400, 86_400):
        elsewhere_too("node-a")
        with monkeypatch.context() as clock:
            clock.setattr(time, "time", lambda shift=seconds: time.monotonic() + shift)
            with locks.lock_field(dataset, "field"):
                elsewhere_too("node-b")
                assert not locks.is_free(dataset, "field")
                with pytest.raises(ValueError, match="another run is writing"), locks.lock_field(dataset, "field"):
                    pass


def test_an_owner_is_known_by_more_than_its_number(monkeypatch):
    own = owners.this_process()
    assert not owners.is_dead(own) and str(own) == f"process {os.getpid()} on {socket.gethostname()}"
    assert owners.is_dead(own._replace(born=own.born - 86_400))  # the number is used again
    assert not owners.is_dead(own._replace(machine="another boot", pid=2**22 + 1))
    assert owners.birth(2**22 + 1) == 0
    monkeypatch.setattr(owners, "BOOT", owners.BOOT / "none")
    assert owners.machine() == owners.machine() != own.machine


@pytest.mark.slow
def test_a_suspended_owner_notices_that_its_lock_was_taken(dataset, owner):
    suspended = owner("node-a", lease_seconds=2, renew_seconds=0.5)
    assert line(suspended) == "taken"
    time.sleep(3)
    assert not locks.is_free(dataset, "field")  # it was renewed
    os.kill(suspended.pid, signal.SIGSTOP)
    time.sleep(3)
    other = owner("node-b")
    assert line(other) == "taken"

    answer(suspended)
    os.kill(suspended.pid, signal.SIGCONT)

    assert line(suspended).startswith(f"process {other.pid} on node-b has taken 'field'")
    answer(other)
    assert line(other) == "written"
