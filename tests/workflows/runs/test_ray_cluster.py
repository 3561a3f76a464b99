"""Two nodes of a Ray cluster on this machine: one of them dies, and versions that do not fit."""

from __future__ import annotations

import platform

import evenset
import numpy as np
import pytest
from evenset import delete_embeddings, find_mistakes
from evenset.models.errors import InvalidInput
from evenset.workflows.mistakes import out_of_fold
from evenset.workflows.runs import shards
from evenset.workflows.runs.shards import Executor

pytestmark = pytest.mark.slow
FIELDS = ("label", "mistakenness", "is_issue", "rank")


@pytest.fixture
def nodes(monkeypatch):
    """A cluster of two nodes with a processor each, and the second node."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=dict(num_cpus=1, include_dashboard=False))
    second = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    yield cluster, second
    cluster.shutdown()


def large_square(number):
    return np.full(200_000, number**2)  # Ray keeps it on the node that made it


def test_the_other_node_does_the_shards_of_one_that_dies(nodes):
    cluster, second = nodes
    done = {}
    for place, result in shards.results(list(range(12)), large_square, Executor("ray")):
        if not done:
            cluster.remove_node(second, allow_graceful=False)
        done[place] = result
    assert sorted(done) == list(range(12))
    assert all((result == place**2).all() for place, result in done.items())


def test_a_run_whose_node_dies_writes_what_one_process_does(nodes, digits, tiny, monkeypatch):
    dataset = digits(n=160, size_px=16, labelled=160)
    cluster, second = nodes
    usual, dead = shards.results, []

    def results(*arguments, **options):
        for part in usual(*arguments, **options):
            if not dead:
                dead.append(cluster.remove_node(second, allow_graceful=False))
            yield part

    def judge(workers):
        find_mistakes(dataset, "ground_truth", embeddings=f"timm/{tiny}", folds=3, workers=workers, progress=False)
        found = [dataset.values(f"mistake.{field}") for field in FIELDS]
        evenset.delete_run(dataset, evenset.list_runs(dataset).rows[0]["key"])
        delete_embeddings(dataset)
        return found

    monkeypatch.setattr(out_of_fold, "MAX_FEW_LABELS", 50)
    here = judge(None)
    monkeypatch.setattr(shards, "results", results)
    there = judge("ray")
    assert dead and there[0] == here[0] and there[2] == here[2]
    np.testing.assert_allclose(there[1], here[1], atol=1e-4)


def test_processes_of_this_machine_leave_its_cluster_alone(nodes):
    assert sorted(shards.results([1, 2], large_square_sum, Executor("2"))) == [(0, 200_000), (1, 800_000)]


def large_square_sum(number):
    return int(large_square(number).sum())


def test_versions_that_differ_are_named(nodes, monkeypatch):
    version, python = evenset.__version__, platform.python_version()

    monkeypatch.setattr(evenset, "__version__", "0.0.1")
    with pytest.raises(InvalidInput, match=rf"has Python {python} and Evenset {version}, and this machine .* 0\.0\.1:"):
        list(shards.results([1], large_square, Executor("ray")))
    monkeypatch.setattr(evenset, "__version__", version)

    monkeypatch.setattr(platform, "python_version", lambda: "3.9.1")
    with pytest.raises(InvalidInput, match=r"and this machine 3\.9\.1 and .*: install the same versions"):
        list(shards.results([1], large_square, Executor("ray")))


def test_a_cluster_that_ray_itself_does_not_fit_is_not_called_missing(nodes, monkeypatch):
    from ray._private import utils

    _, python, *rest = utils.compute_version_info()
    monkeypatch.setattr(utils, "compute_version_info", lambda: ("2.0.0", python, *rest))
    with pytest.raises(InvalidInput, match=r"started with: Ray: 2\..*: install the same versions of Python and Ray"):
        list(shards.results([1], large_square, Executor("ray")))
    assert sorted(shards.results([1, 2], large_square_sum, Executor("1"))) == [(0, 200_000), (1, 800_000)]
