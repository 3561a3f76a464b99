"""Names of inputs, and icons, without an App."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import evenset
import fiftyone.operators.types as types
import pytest
from evenset.operators.display.accessible import name_inputs
from evenset.operators.display.icons import icons_of

ROOT = Path(evenset.__file__).parent


def parts(view: types.View) -> Any:
    return view.to_json()["componentsProps"]


def test_each_input_has_the_name_that_stands_beside_it():
    page, choices = types.Object(), types.DropdownView()
    row = page.h_stack("row")
    row.int("epochs", label="Epochs")
    page.enum("target", ["a"], label="Target", view=choices)
    page.str("run", label="Run", view=types.AutocompleteView())
    page.bool("wait", label="Wait")

    lines = name_inputs(types.Property(page)).type.properties

    epochs = parts(row.properties["epochs"].view)
    assert epochs["field"]["id"] == epochs["header"]["label"]["htmlFor"] == "evenset-epochs"
    assert parts(lines["target"].view)["select"]["inputProps"] == {"aria-label": "Target"}
    run = parts(lines["run"].view)
    assert run["autocomplete"]["id"] == run["header"]["label"]["htmlFor"] == "evenset-run"
    assert parts(lines["wait"].view) is None  # FiftyOne's own label encloses it


@pytest.mark.parametrize("path", sorted((ROOT / "operators" / "icons").glob("*-light.svg")), ids=lambda path: path.stem)
def test_an_icon_is_the_same_drawing_in_both_modes(path):
    dark = path.with_name(path.name.replace("-light", "-dark"))

    texts = [ElementTree.canonicalize(from_file=str(file)) for file in (path, dark)]

    assert texts[0].replace("#333333", "#e0e0e0") == texts[1] != texts[0]


def test_every_operator_has_icons_that_are_there_and_stands_in_the_order_of_the_work():
    import importlib

    names = [name for name in evenset.OPERATORS if name not in ("watch_runs", "evenset_panel")]
    configs = [
        getattr(importlib.import_module(f"evenset.operators.{name}"), evenset.OPERATORS[name])().config
        for name in names
    ]

    for config in configs:
        for icon in (config.icon, config.light_icon, config.dark_icon):
            assert (ROOT / icon.lstrip("/")).is_file(), config.name
    assert icons_of("runs")["dark_icon"] != icons_of("runs")["light_icon"]
    # The App sorts by the first letter of the description, and leaves equal ones in the order of the plugin.
    assert {config.description[:9] for config in configs} == {"Evenset: "}
    work = ["open_evenset", "check_dataset", "auto_label", "review_labels", "find_mistakes", "balance_classes"]
    assert [name for name in names if name in work] == work
