"""The run that wrote a field, a run's samples, and its results for several readers."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from evenset import auto_label, load_results
from evenset.workflows.data import folders
from evenset.workflows.runs import lookup


@pytest.fixture
def labelled(clusters):
    dataset = clusters()
    auto_label(dataset, "ground_truth", embeddings="vector", random_labels=True, progress=False)
    return dataset


def test_a_run_goes_on_with_its_samples_by_the_shortest_question(make_dataset):
    dataset = make_dataset([f"/nowhere/{i}.png" for i in range(6)])
    ids = dataset.values("id")

    def resumed(kept):
        folder = folders.run_folder(dataset, "evenset_train_gcn_1")
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "samples.npy", np.array(kept, dtype="U24"))
        return lookup.samples_of(dataset, "evenset_train_gcn_1")

    assert resumed(ids) is dataset
    for kept, ordered in ((ids[1:4], False), (ids[::-1], True)):
        view = resumed(kept)
        assert view.values("id") == kept and view._stages[0].ordered == ordered
    dataset.delete_samples(ids[2])
    assert resumed(ids) is dataset


@pytest.mark.slow
def test_readers_of_one_run_wait_for_one_another(labelled, monkeypatch):
    read, reading, most = type(labelled).load_run_results, [], []

    def slow(*args, **kwargs):
        reading.append(args)
        time.sleep(0.05)
        most.append(len(reading))
        try:
            return read(*args, **kwargs)
        finally:
            reading.pop()

    monkeypatch.setattr(type(labelled), "load_run_results", slow)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: load_results(labelled, "evenset_auto_label_1").accepted, range(4)))

    assert len(set(found)) == 1 and most == [1] * 4
