"""Tags, and suggestions of tags that are made without any training."""

from __future__ import annotations

import fiftyone as fo
import numpy as np
from evenset.models.settings import AutoLabelSettings
from evenset.workflows.data.tags import declare_tags, write_tags
from evenset.workflows.runs import lifecycle


def tags(names):
    return names if names is None else fo.Classifications(classifications=[fo.Classification(label=n) for n in names])


def write_suggestions(dataset, rows, flagged=True, status="accepted"):
    """Suggested tags by a run that trained nothing: accepted ones, or flags.

    Args:
        rows: number of the sample, class, and "add" or "remove"; those of a sample follow each other
    """
    method, field = ("find_mistakes", "mistake") if flagged else ("auto_label", "auto_label")
    inputs = dict(label_field="ground_truth", output_field=field)
    request = lifecycle.RunRequest(method, settings=(AutoLabelSettings(),), inputs=inputs)
    own = {"is_issue": True, "mistakenness": 0.9} if flagged else {"status": status}
    kinds = {"action": fo.StringField, "kind": fo.StringField, **dict.fromkeys(own, fo.StringField)}
    kinds |= {"is_issue": fo.BooleanField, "mistakenness": fo.FloatField} if flagged else {}
    with lifecycle.start(dataset, request, progress=False) as run:
        declare_tags(run, field, kinds)
        ids = np.array(dataset.values("id"))
        columns = {
            "label": [name for _, name, _ in rows],
            "action": [action for *_, action in rows],
            "kind": [f"{'missing' if action == 'add' else 'extra'} tag" for *_, action in rows],
            **{name: [value] * len(rows) for name, value in own.items()},
        }
        write_tags(run, field, ids[[row for row, *_ in rows]], columns)
