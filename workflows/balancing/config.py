"""The settings of train_generator and of balance_classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from ...models.processes import is_distributed
from ...models.settings import (
    AugmentSettings,
    BalanceSettings,
    DrawingSettings,
    FilterSettings,
    GeneratorSettings,
    ImageSettings,
    PasteSettings,
    SamplingSettings,
    SmallCNNSettings,
    TrainGeneratorSettings,
    TuningSettings,
    WorkerSettings,
)
from ...models.synthetic import AddPolicy, Origin
from ..runs.config import Config
from ..runs.shards import Executor

if TYPE_CHECKING:
    from ..training.image_survey import ImageStats
    from .generator import Generator


@dataclass(frozen=True)
class GeneratorConfig(Config):
    """Settings of train_generator."""

    images: ImageSettings
    generator: GeneratorSettings
    tuning: TuningSettings
    held_out: TrainGeneratorSettings


@dataclass(frozen=True)
class BalanceConfig(Config):
    """Settings of balance_classes, and of compare_methods(task="generation")."""

    balance: BalanceSettings
    images: ImageSettings
    generator: GeneratorSettings
    tuning: TuningSettings
    sampling: SamplingSettings
    drawing: DrawingSettings
    augment: AugmentSettings
    paste: PasteSettings
    filters: FilterSettings
    held_out: TrainGeneratorSettings
    workers: WorkerSettings

    def for_generator(self, generator: Generator | None) -> Self:
        """The same, with images read as those that the generator was trained on."""
        return replace(self, images=replace(self.images, **generator.images)) if generator else self

    def with_source(self, source: Origin) -> Self:
        return replace(self, balance=replace(self.balance, source=str(source)))

    def with_measurement(self) -> Self:
        """The same, measured whatever the source."""
        return replace(self, balance=replace(self.balance, measure_benefit=True))

    def with_flips(self, stats: ImageStats) -> Self:
        """The same, with automatic flips resolved for the images."""
        generator = replace(self.generator, flips=stats.flips(self.generator.flips))
        return replace(self, generator=generator, augment=replace(self.augment, flips=stats.flips(self.augment.flips)))

    @property
    def generates(self) -> bool:
        return self.balance.source == Origin.GENERATE

    @property
    def tunes(self) -> bool:
        """Whether a base other than "scratch" is named; it may be an earlier generator."""
        return self.generates and not self.tuning.is_scratch

    @property
    def pastes(self) -> bool:
        return self.balance.source == Origin.PASTE

    @property
    def measures(self) -> bool:
        """Whether the benefit is measured, where enough images can be held out."""
        is_needed = self.generates or self.balance.add == AddPolicy.IF_IT_GAINS
        return is_needed if self.balance.measure_benefit is None else self.balance.measure_benefit

    @property
    def filters_images(self) -> bool:
        """Whether filters reject some of the images."""
        return self.generates or (self.balance.filter_augmented and not self.pastes)

    @property
    def only_augments(self) -> bool:
        """Whether images are augmented and no network looks at them."""
        return not (self.generates or self.measures or self.balance.filter_augmented)

    @property
    def executor(self) -> Executor | None:
        """Workers that draw images and train judges; None: this process does."""
        workers = self.workers.workers
        return Executor(workers, self.generator.device == "cuda") if workers and not is_distributed() else None

    @property
    def small_cnn(self) -> SmallCNNSettings:
        """Settings of the networks that filter images and measure their benefit."""
        balance, generator = self.balance, self.generator
        return SmallCNNSettings(
            updates=balance.verdict_updates,
            flips=generator.flips,
            seed=balance.seed,
            device=generator.device,
            precision=generator.precision,
        )
