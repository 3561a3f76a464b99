"""What the filters turn away, with points in the plane for embeddings and limits that can be counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evenset.models.quality import image_filters
from evenset.models.quality.copies import Nearest
from evenset.models.quality.image_filters import Views
from evenset.models.settings import FilterSettings


def views(angles, labels, given=0.9, classes=3, graph=None, ratio=None):
    """Images as directions in the plane, in radians; each class has probability `given` for its own images."""
    labels = np.asarray(labels, dtype=np.int64)
    angles = np.broadcast_to(np.asarray(angles, dtype=float), labels.shape)

    def spread(own):
        rows = np.repeat(((1 - np.broadcast_to(own, labels.shape)) / (classes - 1))[:, None], classes, 1)
        rows[np.arange(len(labels)), labels] = own
        return rows

    return Views(
        embeddings=np.stack([np.cos(angles), np.sin(angles)], 1),
        labels=labels,
        probabilities=spread(given),
        graph=None if graph is None else spread(graph),
        nearest=None
        if ratio is None
        else Nearest(
            np.arange(len(labels)), np.broadcast_to(ratio, labels.shape) / 10, np.broadcast_to(ratio, labels.shape)
        ),
    )


def around(count, middle, width, seed):
    return np.random.default_rng(seed).uniform(middle - width, middle + width, count)


ONLY_PROTOTYPES = FilterSettings(
    probability_reject_quantile=0, gcn_reject_quantile=0, copy_reject_quantile=0, prototype_reject_quantile=0.1
)

QUANTILES = dict(  # setting of each check
    copy="copy_reject_quantile",
    prototype="prototype_reject_quantile",
    probability="probability_reject_quantile",
    graph="gcn_reject_quantile",
)


def test_a_limit_is_the_quantile_of_held_out_images_of_the_class():
    training = views(around(100, 0.0, 0.2, 0), np.zeros(100, int))
    held = views(around(99, 0.0, 0.3, 1), np.zeros(99, int))

    found = image_filters.fit(training, held, 3, ONLY_PROTOTYPES)

    judged = found.judge(held)
    assert judged.kept.sum() == 90 and set(judged.reason) == {"", "prototype"}
    assert judged.prototype_distance[judged.kept].max() < judged.prototype_distance[~judged.kept].min()
    np.testing.assert_array_equal(judged.value[~judged.kept], judged.prototype_distance[~judged.kept])
    np.testing.assert_array_equal(judged.limit[~judged.kept], judged.prototype_distance[judged.kept].max())
    assert np.isnan(judged.value[judged.kept]).all()


def test_wide_classes_have_wide_limits():
    training = views(np.r_[around(100, 0.0, 0.1, 0), around(100, 2.0, 0.4, 1)], np.repeat([0, 1], 100))
    held = views(np.r_[around(100, 0.0, 0.1, 2), around(100, 2.0, 0.4, 3)], np.repeat([0, 1], 100))

    judged = image_filters.fit(training, held, 3, ONLY_PROTOTYPES).judge(views([0.3, 2.3, 0.05, 2.7], [0, 1, 0, 1]))

    np.testing.assert_array_equal(judged.kept, [False, True, True, False])


def test_small_classes_borrow_the_limit_in_units_of_their_own_scale():
    training = views(
        np.r_[around(100, 0.0, 0.1, 0), around(30, 2.0, 0.4, 1), around(1, 4.0, 0, 2)],
        np.repeat([0, 1, 2], [100, 30, 1]),
    )
    held = views(np.r_[around(100, 0.0, 0.1, 3), around(2, 2.0, 0.4, 4)], np.repeat([0, 1], [100, 2]))

    found = image_filters.fit(training, held, 3, ONLY_PROTOTYPES)

    assert 2.5 < found.scales[1] / found.scales[0] < 4.5
    assert found.prototype[1] == found.prototype[2]
    judged = found.judge(views([2.2, 0.2, 4.0, 4.1, 5.0], [1, 0, 2, 2, 2]))
    np.testing.assert_array_equal(judged.kept, [True, False, True, True, False])


def test_without_held_out_images_training_ones_stand_in_each_against_the_others():
    training = views(around(50, 0.0, 0.2, 0), np.zeros(50, int))
    nothing = views(np.zeros(0), np.zeros(0, int))

    judged = image_filters.fit(training, nothing, 3, ONLY_PROTOTYPES).judge(views([0.1, 1.5, 0.0], [0, 0, 0]))

    np.testing.assert_array_equal(judged.kept, [True, False, True])


def test_one_image_in_all_is_enough():
    one = views([0.0], [0])
    nothing = views(np.zeros(0), np.zeros(0, int))

    judged = image_filters.fit(one, nothing, 3, FilterSettings()).judge(views([0.0, 0.0], [0, 0], given=[0.9, 0.01]))

    assert judged.kept.tolist() == [True, False]


@pytest.mark.parametrize("check", ["probability", "graph"])
def test_a_probability_is_as_high_as_real_images_have_it(check):
    training = views(np.zeros(10), np.zeros(10, int))
    sure = np.linspace(0.2, 0.9, 99)
    switched = dict(
        prototype_reject_quantile=0, copy_reject_quantile=0, probability_reject_quantile=0, gcn_reject_quantile=0
    )
    settings = FilterSettings(**{**switched, QUANTILES[check]: 0.1})

    def given(values):
        labels = np.zeros(len(values), int)
        return views(0.0, labels, given=values) if check == "probability" else views(0.0, labels, graph=values)

    found = image_filters.fit(training, given(sure), 3, settings)

    limit = np.sort(sure)[9]  # nine of 99 lie below
    judged = found.judge(given(np.array([limit - 0.01, limit + 0.01])))
    assert judged.reason.tolist() == [check, ""]
    assert judged.limit[0] == pytest.approx(limit) and judged.value[0] == pytest.approx(limit - 0.01)
    certain = image_filters.fit(training, given(np.full(99, 0.99)), 3, settings)
    assert certain.judge(given(np.array([0.6]))).kept[0], "a likely image is kept, however sure real ones are"
    lost = image_filters.fit(training, given(np.full(99, 0.01)), 3, settings)
    assert not lost.judge(given(np.array([0.05]))).kept[0], "an unlikely one is not, however unsure real ones are"


def test_a_copy_is_a_copy_whatever_else_it_is():
    training, held = views(np.zeros(10), np.zeros(10, int)), views(around(99, 0, 0.1, 0), np.zeros(99, int))
    found = image_filters.fit(training, held, 3, FilterSettings(), copy_limits=np.array([0.4, 0.4, 0.4]))

    judged = found.judge(views([0.0, 0.0, 3.0], [0, 0, 0], ratio=np.array([0.3, 0.5, 0.3])))

    assert judged.reason.tolist() == ["copy", "", "copy"]
    np.testing.assert_allclose(judged.value[[0, 2]], 0.3)
    np.testing.assert_allclose(judged.limit[[0, 2]], 0.4)
    np.testing.assert_array_equal(judged.nearest_real, [0, 1, 2])
    np.testing.assert_allclose(judged.nearest_real_distance, [0.03, 0.05, 0.03])


def test_each_check_can_be_switched_off():
    training, held = views(np.zeros(10), np.zeros(10, int)), views(around(99, 0, 0.1, 0), np.zeros(99, int), graph=0.9)
    bad = views([3.0], [0], given=0.01, graph=0.01, ratio=0.1)
    settings, reasons = FilterSettings(), []
    for _ in range(5):
        reason = image_filters.fit(training, held, 3, settings, copy_limits=np.full(3, 0.4)).judge(bad).reason[0]
        reasons.append(str(reason))
        settings = replace(settings, **({QUANTILES[str(reason)]: 0.0} if reason else {}))

    assert reasons == ["copy", "prototype", "probability", "graph", ""]


def test_an_embedding_that_is_not_a_number_is_turned_away():
    training, held = views(np.zeros(10), np.zeros(10, int)), views(around(99, 0, 0.1, 0), np.zeros(99, int))

    judged = image_filters.fit(training, held, 3, FilterSettings()).judge(views([np.nan, 0.0], [0, 0]))

    assert judged.reason.tolist() == ["prototype", ""]


def test_a_class_that_never_trained_is_named():
    with pytest.raises(ValueError, match="class 2"):
        image_filters.fit(views([0.0], [0]), views([0.0], [2]), 3, FilterSettings())


def test_every_reason_has_its_sentence():
    sentences = [image_filters.explain(reason, 0.123, 0.456, "coat") for reason in image_filters.CHECKS]

    assert len(set(sentences)) == len(image_filters.CHECKS)
    assert all(
        "0.12" in one and ("0.46" in one or "0.456" in one) and "coat" in one and one.endswith(".") for one in sentences
    )
