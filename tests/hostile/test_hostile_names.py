"""Names of classes as nobody expects them: views, files and tables are made all the same, and undone."""

from __future__ import annotations

import evenset
import numpy as np
from evenset.workflows.ui import class_views, mistake_queue

ODD = ["x" * 1500, "x" * 1500 + "y", "x" * 5000, "???", "///", "👍", "a\nb", "a\0b", "\u202eabc", " ", "$where", "a.b"]
ODD += ["../../etc", "C++", "C#", "CON", "%s{0}", "<b>bold</b>", "'; drop", "None", "nan", "-1", "日本語", "e\u0301"]


def test_views_of_odd_classes_are_saved_once_each_and_undone(make_dataset):
    classes = np.tile(np.arange(len(ODD)), 6)
    wrong = classes.copy()
    wrong[: len(ODD)] = (classes[: len(ODD)] + 1) % len(ODD)
    dataset = make_dataset([f"/nowhere/{number}.png" for number in range(len(classes))], [ODD[i] for i in wrong])
    dataset.set_values("vector", np.eye(len(ODD))[classes].tolist())

    results = evenset.find_mistakes(dataset, "ground_truth", embeddings="vector", progress=False)

    classes = mistake_queue.flagged_page(dataset, results.run_key, 0, 1).by_class
    views = [class_views.view_of_class(dataset, results.run_key, name) for name in classes]
    assert len(views) == len(set(views)) >= 20 and {*dataset.list_saved_views()} == {"mistake: mistakes", *views}
    assert [class_views.view_of_class(dataset, results.run_key, name) for name in classes] == views
    assert all(len(name) <= 130 and name.isprintable() for name in views)
    assert all(len(dataset.load_saved_view(name)) for name in views)
    assert str(results) and results.views

    evenset.delete_run(dataset, results.run_key)
    assert dataset.list_saved_views() == []
