"""Terms of synthetic images: their source, why one is not used, and when they are added."""

from __future__ import annotations

from enum import StrEnum


class Origin(StrEnum):
    """Values of the setting `source`: the origin of a synthetic image."""

    GENERATE = "generate"  # drawn by a generator
    AUGMENT = "augment"  # a real image, changed at random
    PASTE = "paste"  # a real image, with objects of others pasted into it


class Reason(StrEnum):
    """Why a synthetic image is not used: the first filter that rejects it, or a full class."""

    COPY = "copy"  # too near to a training image
    PROTOTYPE = "prototype"  # too far from the mean of its class
    PROBABILITY = "probability"  # improbable to the classifier
    GRAPH = "graph"  # improbable to the GCN
    TEXT = "text"  # unlike the prompt of its class
    SURPLUS = "spare"  # it passed, but its class was full


class AddPolicy(StrEnum):
    """Values of the setting `add`: the verdict on which images are added."""

    UNLESS_IT_LOSES = "unless it loses"
    IF_IT_GAINS = "if it gains"
    ALWAYS = "always"
