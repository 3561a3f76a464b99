"""Evenset's icons in the App, one for each family of operators: drawn dark for light mode, and light for dark mode."""

from __future__ import annotations

FOLDER = "/operators/icons"  # within the plugin, from which the App's server serves it


def icons_of(family: str) -> dict[str, str]:
    """The icons of an operator, a panel or a placement, by FiftyOne's names of them."""
    light, dark = (f"{FOLDER}/{family}-{mode}.svg" for mode in ("light", "dark"))
    return dict(icon=light, light_icon=light, dark_icon=dark)
