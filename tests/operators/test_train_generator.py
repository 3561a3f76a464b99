"""Train generator in the App: what it answers, and the form that it leads to."""

from __future__ import annotations

import pytest


@pytest.mark.slow
def test_a_generator_is_shown_and_leads_to_the_form_that_draws_by_it(app, digits):
    dataset = digits(n=80, size_px=8, labelled=80)
    params = dict(label_field="ground_truth", minutes=None, max_updates=20, width=8, preview_every=10)

    answer = app.execute(dataset, "train_generator", params)

    assert answer.labels[0].startswith("A generator of 10 classes, 8 px") and "Balance classes ..." in answer.labels
    lines = app.form(dataset, "balance_classes", dict(generator="evenset_train_generator_1"))
    assert "evenset_train_generator_1" in str(lines["generator"])
