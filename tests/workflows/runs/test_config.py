"""The settings of a workflow are dealt out to their classes, which forms and command line show."""

from __future__ import annotations

import pytest
from evenset.models.settings import GCN_SETTINGS
from evenset.workflows.gcn.sample_graph import SampleGraphConfig
from evenset.workflows.labeling.config import AutoLabelConfig
from evenset.workflows.training.image_gcn import ImageGraphConfig


def test_a_setting_reaches_each_class_that_has_it():
    config = AutoLabelConfig.read(dict(seed=3, epochs=5, target_precision=0.8))

    assert (config.resnet.epochs, config.labeling.target_precision) == (5, 0.8)
    assert config.resnet.seed == config.graph.seed == config.labeling.seed == 3
    names = ("images", "boxes", "resnet", "graph", "labeling", "tags", "workers")
    assert config.parts == tuple(getattr(config, name) for name in names)


def test_an_unknown_setting_is_named_with_the_nearest():
    with pytest.raises(TypeError, match="no setting is called 'epoch': did you mean 'epochs'"):
        AutoLabelConfig.read(dict(epoch=5))


@pytest.mark.parametrize(("graph", "config"), [("samples", SampleGraphConfig), ("image", ImageGraphConfig)])
def test_train_gcn_takes_the_settings_that_its_form_shows(graph, config):
    assert tuple(map(type, config.read({}).parts)) == GCN_SETTINGS[graph]
