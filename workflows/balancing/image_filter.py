"""Generated images before the filters: what a classifier, the graph of real samples and the training images say."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...models.settings import FilterSettings, GCNSettings, GraphSettings, SmallCNNSettings
from ..runs.run import Run
from .benefit import Problem

if TYPE_CHECKING:
    from ...models.quality.image_filters import Filters, Judged, Views

SAY = "training what judges"


class Judging:
    """Called with images and their classes; what it needs of the real images is learned at the first call, once a run.

    Only the training part is learned from. The held-out part sets the limits, and is what the verdict is scored on
    later, so that no image is judged by a network that saw it.
    """

    def __init__(
        self, run: Run, problem: Problem, settings: FilterSettings, probe: SmallCNNSettings, copies: bool
    ) -> None:
        self.run, self.problem, self.settings = run, problem, settings
        self.probe = replace(probe, class_balance_power=1.0, logit_adjustment=0.0)
        self.copies = copies and settings.copy_reject_quantile > 0  # a changed image is meant to be like its original

    def __call__(self, images: np.ndarray, classes: np.ndarray) -> tuple[Judged, list[dict[str, Any]]]:
        """Images, uint8 [B, C, S, S], and the class of each [B] -> which are kept, and what is to be noted of each."""
        from ...models.quality import copies

        views = self._views(images, classes)
        graph = self._graph(views) if self.settings.gcn_reject_quantile else None
        nearest = copies.search(self.reference, images) if self.copies else None
        judged = self.filters.judge(views._replace(graph=graph, nearest=nearest))
        return judged, [self._notes(judged, i, graph, classes[i]) for i in range(len(images))]

    @cached_property
    def classifier(self) -> Any:
        """A small network that learned from the training part."""
        from ...models.checkpoints import load_tensors, save_tensors
        from ...models.classifiers import small_cnn as probe
        from ...models.devices import accelerator

        problem, path = self.problem, self.run.folder / "judge.safetensors"
        model = probe.build(len(problem.names), problem.train, self.probe)
        if not path.exists():
            for step in probe.train(model, problem.train, problem.train_labels, self.probe):
                self.run.report(SAY, step.number, step.total)
            save_tensors(path, model.state_dict(), dict(names=problem.names))
        model.load_state_dict(load_tensors(path)[0])
        return model.to(accelerator(self.probe.device).device).eval()

    @cached_property
    def training(self) -> Views:
        return self._views(self.problem.train, self.problem.train_labels)

    @cached_property
    def held_out(self) -> Views:
        views = self._views(self.problem.held_out, self.problem.held_out_labels)
        return (
            views._replace(graph=self._graph(views))
            if self.settings.gcn_reject_quantile and len(views.labels)
            else views
        )

    @cached_property
    def reference(self) -> Any:
        from ...models.quality import copies

        return copies.prepare(self.problem.train, self.problem.train_groups)

    @cached_property
    def filters(self) -> Filters:
        from ...models.quality import copies, image_filters

        problem, classes = self.problem, len(self.problem.names)
        limits = None
        if self.copies:
            training = copies.LabelledImages(problem.train, problem.train_labels)
            held_out = copies.LabelledImages(problem.held_out, problem.held_out_labels)
            limits = copies.limits(self.reference, training, held_out, classes, self.settings.copy_reject_quantile)
        return image_filters.fit(self.training, self.held_out, classes, self.settings, limits)

    def _views(self, images: np.ndarray, labels: np.ndarray) -> Views:
        from ...models.classifiers import small_cnn as probe
        from ...models.quality.image_filters import Views

        if not len(images):
            return Views(np.zeros((0, 1)), labels, np.zeros((0, len(self.problem.names))))
        return Views(probe.embed(self.classifier, images), labels, probe.predict(self.classifier, images))

    def _graph(self, views: Views) -> np.ndarray:
        """What a GCN says of samples that join the training samples unlabelled, probability of each class [B, K]."""
        from ...models.graphs import gcn
        from ...models.graphs import nearest_neighbours as graphs

        rows = np.concatenate([self.training.embeddings, views.embeddings])
        labels = np.concatenate([self.training.labels, np.full(len(views.labels), -1)])
        graph, settings = graphs.build(rows, GraphSettings(seed=self.probe.seed)), GCNSettings(seed=self.probe.seed)
        inputs = gcn.prepare(graph, rows, settings)
        model = gcn.build(inputs[0].shape[1], len(self.problem.names), settings)
        for _ in gcn.train(model, *inputs, labels, settings):
            self.run.check_stop()
        return gcn.predict(model, *inputs)[len(self.training.labels) :]

    def _notes(self, judged: Judged, i: int, graph: np.ndarray | None, name: int) -> dict[str, Any]:
        from ...models.quality import image_filters

        refusal = None
        if judged.reason[i]:
            figures = float(judged.value[i]), float(judged.limit[i])
            refusal = image_filters.explain(str(judged.reason[i]), *figures, self.problem.names[name])
        notes: dict[str, Any] = dict(
            refusal=refusal,
            class_probability=round(float(judged.class_probability[i]), 4),
            prototype_distance=round(float(judged.prototype_distance[i]), 4),
            graph_probability=None if graph is None else round(float(graph[i, name]), 4),
        )
        if self.copies:
            notes["nearest_real_id"] = str(self.problem.train_ids[judged.nearest_real[i]])
            notes["nearest_real_distance"] = round(float(judged.nearest_real_distance[i]), 5)
        return notes
