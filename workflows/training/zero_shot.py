"""Zero-shot predictions: a text-image encoder compares images with the names of the classes, without any label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ...models.errors import InvalidInput
from ...models.images.reader import Images
from ...models.settings import ImageSettings
from ..data.labels import Labels
from ..display.tables import counted
from ..runs.run import Run
from .image_survey import errors_of, note_images, unreadable

IMAGE_BATCH = 32


@dataclass(frozen=True)
class TextEncoder:
    """A text-image encoder, and the texts that it compares images with."""

    name: str  # of a model on the hub, or of a folder
    prompts: list[str]
    synonyms: dict[str, list[str]]  # of each class that has some
    device: str

    @cached_property
    def model(self) -> Any:
        """The loaded encoder.

        Raises:
            ValueError: it cannot be loaded
        """
        from ...models.encoders import text_image

        return text_image.load(self.name, self.device)


class ZeroShot(NamedTuple):
    """Vectors of the images, and the log-probabilities of the classes by their names."""

    encoder: str  # its name
    vectors: np.ndarray  # NaN where the image cannot be read [N, D]
    scores: np.ndarray  # log-probabilities [N, K]
    errors: dict[int, str]  # index of the sample: why its image cannot be read


def open_encoder(name: str, prompts: str, classes: Any, device: str, resume: str | None) -> TextEncoder:
    """Loads the encoder before the run is registered; a resumed run loads it if it needs it.

    Args:
        prompts: as in AutoLabelSettings
        classes: names, or {name: [synonyms]}

    Raises:
        ValueError: a prompt without a place for the class, or a model that cannot be loaded
    """
    from ...models.encoders import text_image

    synonyms = {word: [*others] for word, others in classes.items()} if isinstance(classes, dict) else {}
    encoder = TextEncoder(name, text_image.read_prompts(prompts), synonyms, device)
    if not resume:
        encoder.model  # noqa: B018
    return encoder


def encode(run: Run, labels: Labels, encoder: TextEncoder, settings: ImageSettings) -> ZeroShot:
    """Encodes images and classes; computed once a run."""
    from ...models.encoders import text_image

    vectors, errors = encode_images(run, labels, encoder, settings)

    def compute() -> dict[str, np.ndarray]:
        names = {name: encoder.synonyms.get(name, []) for name in labels.names}
        texts = text_image.class_vectors(encoder.model, names, encoder.prompts)
        return dict(texts=texts, scale=np.array(encoder.model.scale))

    kept = run.cached_arrays("class_texts", compute)
    scores = text_image.log_probabilities(vectors, kept["texts"], float(kept["scale"]))
    return ZeroShot(encoder.name, vectors, scores, errors)


def encode_images(
    run: Run, labels: Labels, encoder: TextEncoder, settings: ImageSettings
) -> tuple[np.ndarray, dict[int, str]]:
    """Vectors of all images [N, D], NaN where one cannot be read, and the reasons by index; computed once a run."""

    def compute() -> dict[str, np.ndarray]:
        run.report("loading the text encoder", 0, 1)
        model = encoder.model
        own = replace(settings, fit="pad" if labels.has_boxes else model.fit, grayscale=False)
        images = Images(labels.paths.tolist(), own, model.size_px, 3, cache_megabytes=0)
        vectors: np.ndarray | None = None
        for indices, block in images.batches(IMAGE_BATCH):
            rows = model.image_vectors(block)
            if vectors is None:
                vectors = np.full((len(images), rows.shape[1]), np.nan, dtype=np.float32)
            vectors[indices] = rows
            run.report("encoding images", int(indices[-1]) + 1, len(images))
        if vectors is None:
            raise InvalidInput(
                f"none of {counted(len(images), 'image')} can be read, the first because {images.errors[0]}"
            )
        note_images(run, images.notes)
        return dict(vectors=vectors, **unreadable(labels.ids, images.errors))

    kept = run.cached_arrays("image_vectors", compute, labels.ids, ("vectors",))
    return kept["vectors"], errors_of(kept, labels.ids)
