"""Labels."""

from __future__ import annotations

from typing import Any


class LabelsTab:
    def load_labels(self, ctx: Any) -> None:
        pass

    def show_labels(self, ctx: Any, page: Any) -> None:
        pass
