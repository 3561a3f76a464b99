"""A short film of the day's walk from its screenshots: python scripts/day_gif.py FOLDER docs/day.gif"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

STEPS = ("open", "check", "find", "correct", "label", "accept", "even out", "split", "export")
SIZE, COLOURS, MILLISECONDS = (800, 500), 96, 1500


def main(folder: str, target: str) -> None:
    files = [path for step in STEPS if (path := Path(folder) / f"day-{step}.png").exists()]
    if not files:
        sys.exit(f"{folder} has no screenshots of the day's walk")
    frames = [Image.open(path).convert("RGB").resize(SIZE, Image.Resampling.LANCZOS) for path in files]
    palette = frames[0].quantize(COLOURS)
    first, *others = [frame.quantize(COLOURS, palette=palette, dither=Image.Dither.NONE) for frame in frames]
    first.save(target, save_all=True, append_images=others, duration=MILLISECONDS, loop=0, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
