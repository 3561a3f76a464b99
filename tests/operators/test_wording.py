"""SDK sentences, as the App shows them."""

from __future__ import annotations

import pytest
from evenset.operators.display.wording import use_labels


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("label more of them, or raise max_ratio.", "label more of them, or raise 'Max ratio'."),
        ("size_px 7: a generator draws from 8 px", "'Size (px)' 7: a generator draws from 8 px"),
        ("(random_labels=True says so)", "('Random labels' says so)"),
        ("or give measure_benefit=False", "or give no 'Measure benefit'"),
        ("give members='graph' or calibration_fraction=0", "give 'Members' 'graph' or 'Calibration fraction' 0"),
        ("give weights='none', or the path of a file", "give 'Weights' 'none', or the path of a file"),
        ("name them with test=, or", "name them with 'Test tag', or"),
        ("or classes={'cat': ['Cat', 'cat '], 'dog': []}.", "or 'Classes' cat = Cat = \"cat \", dog."),
        ("or classes={'cat': ['Cat'], ...}.", "or 'Classes' cat = Cat, ...."),
        ("the weights of a graph", "the weights of a graph"),
        ("evenset.audit_labels draws accepted ones", "'Audit labels' draws accepted ones"),
        ("go on with evenset.resume_run(dataset, 'evenset_auto_label_1')", "go on with 'Resume'"),
        ("evenset_auto_label_1 is not running", "evenset_auto_label_1 is not running"),
        ("the field my_max_ratio exists", "the field my_max_ratio exists"),
    ],
)
def test_names_of_the_code_become_labels(sentence, shown):
    assert use_labels(sentence) == shown
