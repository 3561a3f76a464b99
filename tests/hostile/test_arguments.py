"""Every argument of every public function with values that do not fit: one sentence with its name, nothing written."""

from __future__ import annotations

import inspect
import math
import re
import tempfile
import uuid
from pathlib import Path
from typing import Any

import evenset
import numpy as np
import pytest
from evenset import commands
from evenset.workflows.runs import arguments
from fiftyone import ViewField as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FUNCTIONS = [*evenset.FUNCTIONS]
OFF = dict(progress=False)
FOLDER = str(Path(tempfile.gettempdir(), f"evenset-{uuid.uuid4().hex}"))  # never made
BASE: dict[str, dict[str, Any]] = {  # a call that would do its work
    "check_dataset": OFF,
    "preprocess_images": OFF,
    "train_resnet": dict(OFF, label_field="ground_truth", weights="none"),
    "train_gcn": dict(OFF, label_field="ground_truth", embeddings="vector"),
    "auto_label": dict(OFF, label_field="ground_truth"),
    "list_suggestions": dict(field="suggested"),
    "review_labels": dict(OFF, field="suggested", status="review", force=True),
    "audit_labels": dict(OFF, field="suggested"),
    "find_mistakes": dict(OFF, label_field="ground_truth"),
    "train_generator": dict(OFF, label_field="ground_truth"),
    "balance_classes": dict(OFF, label_field="ground_truth"),
    "compare_methods": dict(OFF, label_field="ground_truth", embeddings="vector", methods=["k-nn", "resnet"]),
    "set_target": dict(run_key="evenset_auto_label_1", target_precision=0.9),
    "split_dataset": dict(OFF, label_field="ground_truth", near_duplicates=False),
    "export_dataset": dict(OFF, folder=FOLDER, label_field="ground_truth"),
    "delete_run": dict(run_key="evenset_auto_label_1"),
    "list_runs": {},
    "resume_run": dict(OFF, run_key="evenset_auto_label_1"),
    "stop_run": dict(run_key="evenset_auto_label_1"),
    "load_results": dict(run_key="evenset_auto_label_1"),
    "list_embeddings": {},
    "delete_embeddings": {},
}
NEW_NAMES = ("output_field", "embeddings_field", "heatmap_field")
LONG, LONG_FILE = "x" * 10_000, "x" * 300  # no text of the SDK, no name of a file
NASTY = [
    *(None, True, False, 0, 1, -1, 2**70, -(2**70), 10**5000, 0.5, 1.0, math.nan, math.inf, 1e308, 1j, b"x"),
    *["", " ", "\0", "a\0b", "\ud800", "$x", "a.b", "..", "../..", "a/b", "*", "ünï", "👍", "\n", "None", "0"],
    *(LONG, LONG_FILE, [], [1], [None], ["a", 5], [[]], {}, {1: 2}, {"a": {1: 2}}, {"a": math.nan}, {"a": 2**70}),
    *((), ("a",), set(), {"a"}, range(3), object(), object, len, lambda: None, Exception("x"), iter("a")),
    *(np.arange(3), np.zeros((2, 2)), np.float64("nan"), np.datetime64("2020-01-01")),
]
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def labelled(database):
    """Vectors of three classes, and a finished run of auto_label."""
    import fiftyone as fo

    rng = np.random.default_rng(0)
    truth = np.arange(30) % 3
    dataset = fo.Dataset(f"test-{uuid.uuid4().hex[:8]}")
    vectors = rng.normal(4 * np.eye(8)[truth], 0.1)
    labels = [fo.Classification(label=f"class {i}") if number < 24 else None for number, i in enumerate(truth)]
    dataset.add_samples(
        [
            fo.Sample(filepath=f"/nowhere/{number}.png", vector=vector.tolist(), ground_truth=label)
            for number, (vector, label) in enumerate(zip(vectors, labels, strict=True))
        ],
        progress=False,
    )
    evenset.auto_label(dataset, "ground_truth", embeddings="vector", output_field="suggested", progress=False)
    yield dataset
    dataset.delete()


def written(dataset):
    """All that a call could have written."""
    import fiftyone as fo

    dataset.reload()
    folder = Path(fo.config.default_dataset_dir) / "evenset" / str(dataset._doc.id)
    samples = [{**sample.to_dict(), "last_modified_at": None} for sample in dataset]
    names = [sorted(dataset.get_field_schema(flat=True)), dataset.list_runs(), dataset.list_saved_views()]
    return [*names, samples, sorted(str(path) for path in folder.rglob("*"))]


def parameters(name):
    """An argument's name -> its annotation; a setting's name -> the fields of it."""
    hints = arguments.types_of(inspect.unwrap(getattr(evenset, name)))
    return {**hints, **{key: [item for _, item in places] for key, places in commands.settings_of(name).items()}}


def is_legal(name, kind, value):
    """Whether a value may be taken, where no value of the dataset has such a name."""
    if name == "workers":
        number = value.item() if isinstance(value, np.generic) else value
        return value is None or (type(number) is int and 0 < number < 10_000)
    if isinstance(kind, list):  # a setting
        return any(is_in_range(item, value) for item in kind)
    if value is None:
        return "None" in str(kind)
    if name in NEW_NAMES:
        return isinstance(value, str) and re.fullmatch("[A-Za-z][A-Za-z0-9_]{,99}", value) is not None
    if name == "progress":
        return isinstance(value, bool)
    if name == "target_precision":
        return isinstance(value, (int, float)) and not isinstance(value, bool) and 0.5 <= value <= 0.999
    if name == "folder":
        return isinstance(value, (str, Path)) and is_new_folder(str(value))
    if name == "unlabelled":  # a name of no class may be any
        return isinstance(value, str)
    if name == "splits":  # none
        return isinstance(value, (list, tuple)) and len(value) == 0
    if name in ("settings_of", "classes"):  # none
        return isinstance(value, (list, tuple, dict)) and len(value) == 0
    if name == "target":
        is_count = isinstance(value, (int, float)) and not isinstance(value, bool)
        return value == {} if isinstance(value, dict) else is_count and 0 <= value < 2**63 and value % 1 == 0
    return kind is bool and isinstance(value, bool)


def is_new_folder(path):
    """Whether an export might make this folder."""
    try:
        return bool(path) and Path(path).resolve().parent.is_dir() and not any(Path(path).iterdir())
    except FileNotFoundError:
        return len(path) < 200
    except (OSError, ValueError):
        return False


def is_in_range(item, value):
    kind, low, high = item.metadata["kind"], item.metadata["low"], item.metadata["high"]
    if value is None:
        return bool(item.metadata["empty"])
    if kind in (bool, str):
        choices = item.metadata["choices"]
        return isinstance(value, kind) and (not choices or value in choices)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and low <= value <= high and (kind is float or value % 1 == 0)


def refuse(dataset, function, name, value):
    """Calls with one argument replaced: it is refused by a sentence that names it."""
    first = next(iter(inspect.signature(getattr(evenset, function)).parameters))
    call = {first: dataset, **BASE[function], name: value}
    try:
        getattr(evenset, function)(**call)
    except (ValueError, TypeError) as error:
        text = str(error)
        # a text that fits, but names nothing of the dataset, is shown itself
        names = [value] if isinstance(value, str) else value if isinstance(value, (list, tuple)) else []
        shows_it = any(isinstance(item, str) and repr(item)[1:-1] in text for item in names)
        assert name in text or shows_it, f"{function}({name}={value!r:.80}): {type(error).__name__}: {text[:300]}"
    else:
        pytest.fail(f"{function}({name}={value!r:.80}) was accepted")


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow, id="all"), pytest.param(7, id="some")])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_values_that_do_not_fit_are_refused_by_name_and_nothing_is_written(labelled, function, step):
    """With all of the values, or with some: fewer for settings, whose checks are one piece of code."""
    before = written(labelled)
    for number, (name, kind) in enumerate(parameters(function).items()):
        each = step if isinstance(kind, list) else min(step, 3)
        for value in NASTY[number % each :: each]:
            if not is_legal(name, kind, value):
                refuse(labelled, function, name, value)
    assert written(labelled) == before


@pytest.mark.parametrize("function", FUNCTIONS)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_given_is_refused_by_name(labelled, function, data):
    runs = labelled.list_runs()
    kinds = parameters(function)
    name = data.draw(st.sampled_from(sorted(kinds)), label="argument")
    value = data.draw(anything.filter(lambda value: not is_legal(name, kinds[name], value)), label="value")
    refuse(labelled, function, name, value)
    assert labelled.list_runs() == runs


@pytest.mark.parametrize(
    ("function", "name", "value", "taken"),
    [
        ("auto_label", "label_field", np.str_("ground_truth"), "ground_truth"),
        ("auto_label", "classes", ("class 0", "class 1"), ("class 0", "class 1")),
        ("auto_label", "classes", np.array(["class 0", "class 1"]), ["class 0", "class 1"]),
        ("auto_label", "classes", {"class 0": ("zero", np.str_("null"))}, {"class 0": ("zero", "null")}),
        ("auto_label", "include_synthetic", np.bool_(True), True),
        ("train_resnet", "classes", [LONG_FILE * 5], [LONG_FILE * 5]),
        ("train_resnet", "validation", "tag", "tag"),
        ("balance_classes", "target", np.int64(100), 100),
        ("balance_classes", "target", {"class 0": np.int32(5)}, {"class 0": 5}),
        ("balance_classes", "generator", Path("folder"), Path("folder")),
        ("compare_methods", "methods", "k-nn", "k-nn"),
        ("compare_methods", "settings_of", {"resnet": {"epochs": np.int64(3)}}, {"resnet": {"epochs": 3}}),
        ("compare_methods", "rules", {"class 0": F("size") > 1}.items(), None),
        ("compare_methods", "rules", "class 0: True\n" * 1000, None),
        ("resume_run", "progress", print, print),
        ("resume_run", "progress", lambda *news: None, None),
    ],
)
def test_values_that_fit_are_taken_as_pythons_own(function, name, value, taken):
    found = arguments.check(getattr(evenset, function), {name: value})[name]

    if taken is not None:
        assert found == taken and type(found) is type(taken)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(settings_of=[{"name": 5, "method": "k-nn"}]), "settings_of has to be rows"),
        (dict(settings_of={"": {"method": "k-nn"}}), "settings_of has to be rows"),
        (dict(settings_of={"x": {"method": ["k-nn"]}}), "settings_of 'x': method has to be a text, not ['k-nn']"),
        (dict(settings_of={"resnet": {"epochs": 2**70}}), "epochs has to be from 1 to 10000"),
        (dict(task="generation", generator=5), "generator has to be a text or a path or None, not 5"),
        (dict(task="generation", target=10**15), "target has to be a whole number of images, at most 10,000,000"),
        (dict(attack_epsilons="2," * 50 + "2", robustness=True), "attack_epsilons has to be numbers between 0 and 255"),
    ],
)
def test_rows_and_what_is_handed_on_are_checked_too(labelled, arguments, words):
    with pytest.raises(ValueError) as caught:
        evenset.compare_methods(labelled, "ground_truth", **arguments)
    assert str(caught.value).startswith(words)


def test_many_classes_are_compared_at_once(labelled):
    names = [f"class {number}" for number in range(100_000)]
    with pytest.raises(ValueError, match="classes names 'class 99999' twice"):
        evenset.train_resnet(labelled, "ground_truth", classes=[*names, "class 99999"])


def test_a_part_of_another_dataset_is_refused(labelled, make_dataset):
    other = make_dataset(["/nowhere/0.png"])
    with pytest.raises(ValueError, match=f"validation has to be a view of '{labelled.name}', not of '{other.name}'"):
        evenset.train_resnet(labelled, "ground_truth", validation=other.view(), weights="none")


def test_a_view_is_taken_where_a_dataset_is(labelled):
    view = labelled.limit(3)
    assert evenset.list_runs(view).rows == evenset.list_runs(labelled).rows
    with pytest.raises(ValueError, match="at least two classes are needed"):
        evenset.train_resnet(labelled.limit(1), "ground_truth", validation=view)


@pytest.mark.parametrize("by_whom", ["this process", "another"])
def test_a_deleted_dataset_is_named(database, by_whom):
    import fiftyone as fo
    import fiftyone.core.odm as foo

    dataset = fo.Dataset()
    name, view = dataset.name, dataset.view()
    if by_whom == "this process":
        dataset.delete()
    else:
        foo.get_db_conn().datasets.delete_one({"name": name})
    for samples in (dataset, view):
        with pytest.raises(ValueError, match=f"dataset: .*{name}.*deleted"):
            evenset.list_runs(samples)
        with pytest.raises(ValueError, match=f"samples: .*{name}.*deleted"):
            evenset.auto_label(samples, "ground_truth")


def test_a_run_is_resumed_by_its_own_workflow_and_only_where_it_stopped(labelled):
    with pytest.raises(
        ValueError, match="has to be a run of train_resnet, and evenset_auto_label_1 is one of auto_label"
    ):
        evenset.train_resnet(labelled, "ground_truth", resume="evenset_auto_label_1")
    with pytest.raises(ValueError, match="evenset_auto_label_1 is done: only a stopped or failed run can be resumed"):
        evenset.auto_label(labelled, "ground_truth", resume="evenset_auto_label_1")


@pytest.mark.parametrize("call", [lambda f, d: f(d), lambda f, d: f(d, "ground_truth", "resnet"), lambda f, d: f()])
def test_arguments_that_are_missing_or_too_many_are_said_with_the_function(labelled, call):
    with pytest.raises(TypeError, match="train_resnet: (missing a required|too many positional) argument"):
        call(evenset.train_resnet, labelled)


def test_signature_and_docstring_stay_those_of_the_function():
    for name in FUNCTIONS:
        function = getattr(evenset, name)
        assert inspect.signature(function).parameters.keys() >= BASE[name].keys() - commands.settings_of(name).keys()
        assert function.__doc__ and function.__name__ == name
