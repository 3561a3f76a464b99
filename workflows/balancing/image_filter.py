"""Filter of synthetic images: a small CNN, a GCN over real samples, the copy check, and a text-image encoder.

All limits come from real images.

The limits and the rules are in models/quality/image_filters.py, the search for copies in models/quality/copies.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.settings import FilterSettings, GCNSettings, GraphSettings, SmallCNNSettings
from ...models.synthetic import Reason
from ..runs.run import Run
from .benefit import RealImages
from .copy_candidates import CopyCandidates
from .text_scores import TextScores

if TYPE_CHECKING:
    from ...models.quality.copies import Nearest, Reference
    from ...models.quality.image_filters import Filters, Judged, Views

PHASE = "training the filter"  # of the run


class ImageFilter:
    """Accepts or rejects images of given classes. It learns from the real images at its first call, once a run."""

    def __init__(
        self,
        run: Run,
        real: RealImages,
        settings: FilterSettings,
        small_cnn: SmallCNNSettings,
        copies: bool,
        texts: TextScores | None = None,
        candidates: CopyCandidates | None = None,
    ) -> None:
        self.real, self.settings, self.texts, self.candidates = real, settings, texts, candidates
        self.predictors = Predictors(run, real, small_cnn, use_gcn=settings.gcn_reject_quantile > 0)
        self.copies = copies and settings.copy_reject_quantile > 0
        self.has_files = False  # the images of the first call are files

    def __call__(
        self, images: np.ndarray, classes: np.ndarray, paths: Sequence[str] = ()
    ) -> tuple[Judged, list[dict[str, Any]]]:
        """Images, uint8 [B, C, S, S], their classes [B] and files -> those accepted, and the figures of each.

        Args:
            paths: files, where the images are larger than the filters see them, or ""
        """
        from ...models.quality import copies
        from ...models.quality.shared_detail import COPY_DETAIL, explain_copy

        self.has_files = any(paths)
        views = self.predictors.views(images, classes)
        if self.texts:
            views = views._replace(text=self.texts(images, classes, paths))
        nearest = copies.search(self.reference, images) if self.copies else None
        details = None
        if nearest and any(paths):
            details, index = self._shared_details(nearest, paths)
            distance = np.where(index == nearest.index, nearest.distance, np.nan)
            nearest = replace(nearest, index=index, distance=distance, ratio=(details <= COPY_DETAIL).astype(float))
        judged = self.filters.judge(views._replace(nearest=nearest))
        figures = [self._figures(judged, i, views) for i in range(len(images))]
        if details is not None:
            for i in np.flatnonzero(judged.reason == Reason.COPY).tolist():
                figures[i]["refusal"] = explain_copy(float(details[i]))
        return judged, figures

    def _shared_details(self, nearest: Nearest, paths: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Fine detail that each file shares with a training image near it, 0..1 [B], and the index of that [B].

        It is the nearest by pixels, or one near by vectors that shares more.
        """
        from ...models.images.decode import load
        from ...models.quality.shared_detail import COPY_DETAIL, shared_detail

        near = self.candidates(paths) if self.candidates else [[] for _ in paths]
        details, indices = np.zeros(len(paths)), nearest.index.copy()
        for i, path in enumerate(paths):
            self.predictors.run.check_stop()
            image = load(path, self.real.settings, None, 3)
            for index in dict.fromkeys([int(nearest.index[i]), *near[i]]):
                other = load(str(self.real.train_paths[index]), self.real.settings, None, 3)
                detail = shared_detail(image, other)
                if detail > details[i]:
                    details[i], indices[i] = detail, index
                if detail > COPY_DETAIL:
                    break
        return details, indices

    @cached_property
    def reference(self) -> Reference:
        """The training images, as the search for copies compares them."""
        from ...models.quality import copies

        return copies.prepare(self.real.train, self.real.train_groups)

    @cached_property
    def filters(self) -> Filters:
        """Limits of each class, from the held-out images."""
        from ...models.quality import copies, image_filters

        real, classes, limits = self.real, len(self.real.names), None
        if self.copies:
            training_images = copies.LabelledImages(real.train, real.train_labels)
            held_out_images = copies.LabelledImages(real.held_out, real.held_out_labels)
            quantile = self.settings.copy_reject_quantile
            limits = copies.limits(self.reference, training_images, held_out_images, classes, quantile)
        training, held_out = self.predictors.training, self.predictors.held_out
        if self.texts:
            held_out = held_out._replace(text=self.texts.of_held_out(self.has_files))
        return image_filters.fit(training, held_out, classes, self.settings, limits)

    def _figures(self, judged: Judged, i: int, views: Views) -> dict[str, Any]:
        """The figures of image i, and why it was rejected, as its sample keeps them."""
        from ...models.quality import image_filters

        class_id, refusal = views.labels[i], None
        if judged.reason[i]:
            value, limit = float(judged.value[i]), float(judged.limit[i])
            refusal = image_filters.explain(str(judged.reason[i]), value, limit, self.real.names[class_id])
        figures: dict[str, Any] = dict(
            refusal=refusal,
            class_probability=round(float(judged.class_probability[i]), 4),
            prototype_distance=round(float(judged.prototype_distance[i]), 4),
            graph_probability=None if views.graph is None else round(float(views.graph[i, class_id]), 4),
        )
        if views.text is not None:
            figures["text_similarity"] = round(float(views.text[i]), 4)
        if self.copies:
            figures["nearest_real_id"] = str(self.real.train_ids[judged.nearest_real[i]])
            distance = float(judged.nearest_real_distance[i])  # NaN if it is near by vectors alone
            figures["nearest_real_distance"] = None if np.isnan(distance) else round(distance, 5)
        return figures


class Predictors:
    """A small CNN and a GCN, which learn from the training images alone.

    The held-out images set the limits here, and score the verdict later: neither network sees them in training.
    """

    def __init__(self, run: Run, real: RealImages, settings: SmallCNNSettings, use_gcn: bool) -> None:
        self.run, self.real, self.use_gcn = run, real, use_gcn
        self.settings = replace(settings, class_balance_power=1.0, logit_adjustment=0.0)

    @cached_property
    def classifier(self) -> Any:
        """The small CNN, trained once a run."""
        from ...models.checkpoints import load_tensors, save_tensors
        from ...models.classifiers import small_cnn
        from ...models.devices import accelerator

        real, path = self.real, self.run.folder / "judge.safetensors"
        model = small_cnn.build(len(real.names), real.train, self.settings)
        if not path.exists():
            for step in small_cnn.train(model, real.train, real.train_labels, self.settings):
                self.run.report(PHASE, step.number, step.total)
            save_tensors(path, model.state_dict(), dict(names=real.names))
        model.load_state_dict(load_tensors(path)[0])
        return model.to(accelerator(self.settings.device).device).eval()

    @cached_property
    def training(self) -> Views:
        return self._cnn_views(self.real.train, self.real.train_labels)

    @cached_property
    def held_out(self) -> Views:
        return self.views(self.real.held_out, self.real.held_out_labels)

    def views(self, images: np.ndarray, labels: np.ndarray) -> Views:
        """Embeddings and probabilities of images, uint8 [B, C, S, S], of the classes `labels` [B]."""
        views = self._cnn_views(images, labels)
        return views._replace(graph=self._gcn_probabilities(views)) if self.use_gcn and len(labels) else views

    def _cnn_views(self, images: np.ndarray, labels: np.ndarray) -> Views:
        from ...models.classifiers import small_cnn
        from ...models.quality.image_filters import Views

        if not len(images):
            return Views(np.zeros((0, 1)), labels, np.zeros((0, len(self.real.names))))
        return Views(small_cnn.embed(self.classifier, images), labels, small_cnn.predict(self.classifier, images))

    def _gcn_probabilities(self, views: Views) -> np.ndarray:
        """Probabilities of samples that join the graph of the training samples without a label [B, K]."""
        from ...models.graphs import gcn, nearest_neighbours

        rows = np.concatenate([self.training.embeddings, views.embeddings])
        labels = np.concatenate([self.training.labels, np.full(len(views.labels), -1)])
        graph = nearest_neighbours.build(rows, GraphSettings(seed=self.settings.seed))
        settings = GCNSettings(seed=self.settings.seed)
        inputs = gcn.prepare(graph, rows, settings)
        model = gcn.build(inputs[0].shape[1], len(self.real.names), settings)
        for _ in gcn.train(model, *inputs, labels, settings):
            self.run.check_stop()
        return gcn.predict(model, *inputs)[len(self.training.labels) :]
