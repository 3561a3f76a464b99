"""The settings of train_generator and of balance_classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from ...models.settings import (
    BalanceSettings,
    FilterSettings,
    GeneratorSettings,
    ImageSettings,
    SamplingSettings,
    SmallCNNSettings,
    TrainGeneratorSettings,
)
from ...models.synthetic import Origin
from ..runs.config import Config

if TYPE_CHECKING:
    from .generator import Generator


@dataclass(frozen=True)
class GeneratorConfig(Config):
    """Settings of train_generator."""

    images: ImageSettings
    generator: GeneratorSettings
    held_out: TrainGeneratorSettings


@dataclass(frozen=True)
class BalanceConfig(Config):
    """Settings of balance_classes, and of compare_methods(task="generation")."""

    balance: BalanceSettings
    images: ImageSettings
    generator: GeneratorSettings
    sampling: SamplingSettings
    filters: FilterSettings
    held_out: TrainGeneratorSettings

    def for_generator(self, generator: Generator | None) -> Self:
        """The same, with images read as those that the generator was trained on."""
        return replace(self, images=replace(self.images, **generator.images)) if generator else self

    def with_source(self, source: Origin) -> Self:
        return replace(self, balance=replace(self.balance, source=str(source)))

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
