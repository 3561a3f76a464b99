"""Mistakes."""

from __future__ import annotations

from typing import Any


class MistakesTab:
    def load_mistakes(self, ctx: Any) -> None:
        pass

    def show_mistakes(self, ctx: Any, page: Any) -> None:
        pass
