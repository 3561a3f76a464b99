"""Balance."""

from __future__ import annotations

from typing import Any


class BalanceTab:
    def load_balance(self, ctx: Any) -> None:
        pass

    def show_balance(self, ctx: Any, page: Any) -> None:
        pass
