"""Remedies that a sentence of the SDK names, as buttons: each opens the form again, with one value changed."""

from __future__ import annotations

from typing import Any, NamedTuple


class Remedy(NamedTuple):
    label: str  # of the button
    values: dict[str, Any]  # of the form's lines


REMEDIES = {  # by the words of the sentence
    "weights='none'": Remedy("Use no pretrained weights", {"weights": "none"}),
    "members='graph'": Remedy("Leave the ResNet out", {"members": "graph"}),
    "measure_benefit=False": Remedy("Do not measure the benefit", {"measure_benefit": "off"}),
    "source='augment'": Remedy("Change real images instead", {"source": "augment"}),
    "choose 'auto' or 'cpu'": Remedy("Use any device", {"device": "auto"}),
    "give embeddings=": Remedy("Use the images' own features", {"embeddings": "auto"}),
    "keep=True extends": Remedy("Extend the split", {"keep": True}),
    "force=True": Remedy("Do it anyway", {"force": True}),
    "new_class=True": Remedy("Add the class", {"new_class": True}),
}


def remedies(sentence: str) -> list[Remedy]:
    """The remedies that a sentence names."""
    return [remedy for words, remedy in REMEDIES.items() if words in sentence]
