"""Settings: every value is checked when it is set, and the sentence names the field, the range and the nearest name."""

from __future__ import annotations

import dataclasses
import inspect

import numpy as np
import pytest
from evenset.models import settings
from evenset.models.settings import (
    GCN_SETTINGS,
    AuditSettings,
    AutoLabelSettings,
    CopySettings,
    GraphSettings,
    ImageSettings,
    MistakeSettings,
    ResNetSettings,
    ReviewSettings,
    Settings,
    split,
)

KINDS = [kind for _, kind in inspect.getmembers(settings, inspect.isclass) if issubclass(kind, Settings)]
FIELDS = [(kind, item) for kind in KINDS for item in dataclasses.fields(kind)]
NAMES = [f"{kind.__name__}.{item.name}" for kind, item in FIELDS]


def test_the_classes_are_found():
    assert {ImageSettings, ResNetSettings, AutoLabelSettings, ReviewSettings, AuditSettings, CopySettings} < set(KINDS)
    assert len(FIELDS) > 40


@pytest.mark.parametrize(("kind", "item"), FIELDS, ids=NAMES)
def test_every_field_has_a_help_text_and_a_default_in_its_range(kind, item):
    notes = item.metadata
    assert notes["help"] and not notes["help"].endswith(".")
    assert notes["kind"] in (bool, int, float, str) and (item.default is not None or notes["empty"])
    assert kind(**{item.name: item.default}) == kind()
    if notes["kind"] in (int, float):
        assert notes["low"] is not None  # a form needs one, and 0 epochs or -1 px are nothing


@pytest.mark.parametrize(("kind", "item"), FIELDS, ids=NAMES)
def test_every_field_refuses_what_is_out_of_its_range(kind, item):
    low, high, choices = item.metadata["low"], item.metadata["high"], item.metadata["choices"]
    wrong: list[object] = [[1], float("nan"), *([] if item.metadata["empty"] else [None])]
    wrong += [low - 1] if low is not None else []
    wrong += [high + 1] if high is not None else []
    wrong += ["something else"] if choices and not item.metadata["open_choices"] else []
    wrong += {bool: [1, "true"], int: [1.5, True], float: ["0.5", True], str: [3, True]}[item.metadata["kind"]]
    wrong = [value for value in wrong if (item.name, value) != ("workers", 3)]  # a number of processes, as a text
    for value in wrong:
        with pytest.raises(ValueError, match=f"^{item.name} has to be "):
            kind(**{item.name: value})


def test_the_limits_themselves_are_allowed():
    for low in (0.5, 0.999):
        assert AutoLabelSettings(target_precision=low).target_precision == low
    assert ImageSettings(size_px=2048).size_px == 2048


def test_the_sentence_says_what_was_expected():
    for kind, values, sentence in (
        (ImageSettings, {"threads": 0}, "threads has to be from 1 to 256 or None (one for each core), not 0"),
        (ImageSettings, {"threads": "2"}, "threads has to be a whole number or None (one for each core), not '2'"),
        (ResNetSettings, {"batch_size": 1}, "batch_size has to be from 2 to 100000 images, not 1"),
        (ImageSettings, {"fit": "squeeze"}, "fit has to be one of stretch, crop, pad, not 'squeeze'"),
        (AutoLabelSettings, {"random_labels": "yes"}, "random_labels has to be true or false, not 'yes'"),
        (ResNetSettings, {"epochs": 1.5}, "epochs has to be a whole number, not 1.5"),
        (AutoLabelSettings, {"alpha": "0.1"}, "alpha has to be a number, not '0.1'"),
        (ReviewSettings, {"action": 1}, "action has to be a text, not 1"),
        (ResNetSettings, {"epochs": 2**70}, "epochs has to be from 1 to 10000, not 1180591620717411303424"),
        (ResNetSettings, {"epochs": 10**5000}, "epochs has to be from 1 to 10000, not a value of type int"),
        (AutoLabelSettings, {"alpha": float("nan")}, "alpha has to be a number, not nan"),
        (AutoLabelSettings, {"alpha": True}, "alpha has to be a number, not True"),
        (
            ResNetSettings,
            {"weights": "a\0b"},
            "weights has to be a text without NUL or half a surrogate pair, not 'a\\x00b'",
        ),
        (
            ResNetSettings,
            {"weights": "\ud800"},
            "weights has to be a text without NUL or half a surrogate pair, not '\\ud800'",
        ),
        (ResNetSettings, {"weights": "x" * 5000}, "weights has to be a text of at most 4,096 characters, not 5,000"),
    ):
        with pytest.raises(ValueError) as caught:
            kind(**values)
        assert str(caught.value) == sentence


def test_whole_numbers_and_fractions_are_taken_for_each_other_where_they_are_equal():
    found = ResNetSettings(epochs=3.0, learning_rate=1)
    assert (found.epochs, type(found.epochs)) == (3, int)
    assert (found.learning_rate, type(found.learning_rate)) == (1.0, float)


def test_scalars_of_numpy_are_taken_as_pythons_own():
    values = dict(epochs=np.int64(3), learning_rate=np.float32(0.5), adversarial=np.bool_(True), flips=np.str_("both"))

    found = ResNetSettings(**values)

    assert [type(getattr(found, name)) for name in values] == [int, float, bool, str]
    assert (found.epochs, found.learning_rate, found.adversarial, found.flips) == (3, 0.5, True, "both")


def test_every_number_has_a_range_that_the_database_can_hold():
    for kind in [kind for kind in vars(settings).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)]:
        for item in dataclasses.fields(kind):
            if item.metadata["kind"] in (int, float):
                assert -(2**63) < item.metadata["low"] <= item.metadata["high"] < 2**63, item.name


def test_a_file_may_stand_where_other_texts_are_allowed():
    assert ResNetSettings(weights="/a/file.pth").weights == "/a/file.pth"


def test_settings_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ImageSettings().size_px = 3  # type: ignore[misc]


def test_arguments_are_dealt_to_the_classes_that_have_them():
    images, resnet, choices = split({"size_px": 8, "seed": 5}, ImageSettings, ResNetSettings, AutoLabelSettings)
    assert (images, resnet, choices) == (ImageSettings(size_px=8), ResNetSettings(seed=5), AutoLabelSettings(seed=5))


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(TypeError, match="no setting is called 'target_precison': did you mean 'target_precision'"):
        split({"target_precison": 0.9}, ResNetSettings, AutoLabelSettings)
    with pytest.raises(TypeError, match="no setting is called 'target': did you mean 'target_precision'"):
        split({"target": 0.9}, ResNetSettings, AutoLabelSettings)
    with pytest.raises(TypeError, match="no setting is called 'zzz': there are alpha, seed, size"):
        split({"zzz": 1}, AuditSettings)


@pytest.mark.parametrize(
    "kinds",
    [
        (ImageSettings, ResNetSettings, AutoLabelSettings),
        (ImageSettings, ResNetSettings, GraphSettings, MistakeSettings),
        *GCN_SETTINGS.values(),
    ],
)
def test_a_name_that_two_classes_of_one_workflow_have_means_the_same_in_both(kinds):
    seen: dict[str, dataclasses.Field] = {}
    for item in [item for kind in kinds for item in dataclasses.fields(kind)]:
        other = seen.setdefault(item.name, item)
        assert (other.default, dict(other.metadata)) == (item.default, dict(item.metadata)), item.name


@pytest.mark.parametrize(
    "kind, values, words",
    [
        (settings.GeneratorSettings, dict(minutes=None), "without a limit never ends: set minutes or max_updates"),
        (settings.SamplingSettings, dict(guidance_from=0.7), "guidance_from has to be at most guidance_to"),
        (settings.FilterSettings, dict(min_probability_threshold=0.8), "min_probability_threshold has to be at most"),
    ],
)
def test_values_that_do_not_go_together_are_refused(kind, values, words):
    with pytest.raises(ValueError, match=words):
        kind(**values)
