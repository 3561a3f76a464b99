"""Settings of a workflow: one frozen dataclass of settings classes, filled from keyword arguments."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any, Self

from ...models.settings import Settings, split


@dataclass(frozen=True)
class Config:
    """Base of a workflow's settings; each field is a settings class."""

    @classmethod
    def read(cls, settings: dict[str, Any]) -> Self:
        """Deals keyword arguments out to the settings classes.

        Raises:
            TypeError: no class has that setting
            ValueError: a value is out of range
        """
        return cls(*split(settings, *typing.get_type_hints(cls).values()))

    @property
    def parts(self) -> tuple[Settings, ...]:
        """The settings of each class, as a run records them."""
        return tuple(vars(self).values())
