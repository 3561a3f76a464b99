"""Review."""

from __future__ import annotations

from typing import Any


class ReviewTab:
    def load_review(self, ctx: Any) -> None:
        pass

    def show_review(self, ctx: Any, page: Any) -> None:
        pass
