"""SDK sentences, as the shell shows them."""

from __future__ import annotations

import pytest
from evenset.command_wording import use_options


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("(force=True does it anyway)", "(--force does it anyway)"),
        ("unlabelled='split' splits them too.", "--unlabelled split splits them too."),
        ("escape_formulas=False leaves them", "--no-escape-formulas leaves them"),
        ("or raise held_out_fraction.", "or raise --held-out-fraction."),
        ("or classes={'cat': ['Cat'], 'dog': []}.", "or --classes 'cat = Cat, dog'."),
        ("give embeddings= another field", "give --embeddings another field"),
        ("have calibration_fraction=0.25", "have --calibration-fraction 0.25"),
        ("delete_run undoes it", "evenset delete-run undoes it"),
        ("evenset.split_dataset gives them", "evenset split-dataset gives them"),
        ("go on with evenset.resume_run(dataset, 'evenset_x_1')", "go on with evenset resume-run DATASET evenset_x_1"),
        ("evenset.review_labels(dataset, 'a b', labels='d.csv')", "evenset review-labels DATASET 'a b' --from d.csv"),
        ("2 images could not be read: results.skipped lists them.", "2 images could not be read: --json lists them."),
        ("no field 'label_field' in evenset_auto_label_1", "no field 'label_field' in evenset_auto_label_1"),
        ("the class a=b of 'x_y', and /tmp/seed=3/auto_label", "the class a=b of 'x_y', and /tmp/seed=3/auto_label"),
    ],
)  # fmt: skip
def test_names_of_the_code_become_what_is_typed(sentence, shown):
    assert use_options(sentence, "auto_label") == shown


def test_decisions_have_the_option_of_review_labels_alone():
    assert use_options("(labels='a, b' exports", "export_dataset") == "(--labels 'a, b' exports"
    sentence = "labels={'a': 'cat'} decides"
    assert use_options("labels='d.csv' decides", "review_labels") == "--from d.csv decides"
    assert use_options(sentence, "delete_run") == sentence
