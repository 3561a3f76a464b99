"""Locks of a field: threads that take and release them at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from evenset.workflows.data import locks


def test_locks_that_come_and_go_at_once_do_not_trip_over_one_another(make_dataset):
    dataset = make_dataset(["/nowhere/1.png"])

    def work(name):
        for _ in range(200):
            with locks.lock_field(dataset, name):
                pass

    with ThreadPoolExecutor() as pool:
        list(pool.map(work, ["one", "two", "three"]))  # raises what a thread raised
