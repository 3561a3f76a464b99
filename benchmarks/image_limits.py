"""Seconds and peak memory of the worst image files within the limits of ImageSettings: a process for each file."""

from __future__ import annotations

import argparse
import resource
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from measure import goal
from tabulate import tabulate

MAX_SECONDS, MAX_MEGABYTES = 10.0, 1500.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="kinds of files whose names contain this")
    parser.add_argument(
        "--size-px", type=side, nargs="*", default=[None, 224], help="final sides; none: the images' own"
    )
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        return read(options.read, options.size_px[0])
    if options.write:
        with options.write.open("wb") as file:
            return FILES[options.only](file)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image"
        for name in (name for name in FILES if options.only in name):
            run("--write", path, "--only", name)  # in a child: peaks start at the parent's size
            for size_px in options.size_px:
                *figures, refused = run("--read", path, "--size-px", size_px or "none").rstrip("\n").split("\t")
                rows.append([name, path.stat().st_size / 1e6, size_px or "own", *map(float, figures), refused])
    head = ["file", "MB", "size_px", "CPU seconds", "seconds", "peak MB", "refused"]
    print(tabulate(rows, head, floatfmt=".1f"))
    seconds, megabytes = max(row[3] for row in rows), max(row[5] for row in rows)
    goal("no file takes more than 10 s of a processor", seconds <= MAX_SECONDS, f"{seconds:.1f} s")
    goal("no file takes more than 1.5 GB", megabytes <= MAX_MEGABYTES, f"{megabytes:.0f} MB")


def side(text: str) -> int | None:
    return None if text == "none" else int(text)


def run(*arguments: object) -> str:
    """Output of this script in a process of its own."""
    return subprocess.run(
        [sys.executable, __file__, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def read(path: Path, size_px: int | None) -> None:
    """Prints CPU seconds, seconds, peak memory in MB, and the reason of a refusal."""
    from evenset.models.errors import ImageError
    from evenset.models.images.decode import load
    from evenset.models.settings import ImageSettings

    start, cpu_start, refused = time.perf_counter(), time.process_time(), ""
    try:
        load(str(path), ImageSettings(), size_px, 3)
    except ImageError as error:
        refused = str(error).removeprefix(f"{path} ")[:90]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{time.process_time() - cpu_start:.2f}\t{time.perf_counter() - start:.2f}\t{peak:.0f}\t{refused}")


def pixels(megapixels: float, channels: int = 3, dtype: str = "u1") -> np.ndarray:
    """Squares of noise: files are neither tiny nor over max_megabytes."""
    side = int((megapixels * 1e6) ** 0.5) // 100 * 100
    high = 1.0 if dtype.startswith("f") else np.iinfo(dtype).max
    noise = (np.random.default_rng(0).random((side // 20, side // 20, channels)) * high).astype(dtype)
    return noise.repeat(20, axis=0).repeat(20, axis=1).squeeze()


def pillow(
    kind: str, megapixels: float = 118, mode: str | None = None, **options: object
) -> Callable[[BinaryIO], None]:
    def write(file: BinaryIO) -> None:
        from PIL import Image

        Image.MAX_IMAGE_PIXELS = None
        channels = {"L": 1, "1": 1, "RGBA": 4, "CMYK": 4}.get(mode or "RGB", 3)
        image = Image.fromarray(pixels(megapixels, channels), mode if channels == 4 else None)
        (image.convert(mode) if mode in ("P", "1") else image).save(file, kind, **options)

    return write


def tiff(megapixels: float, channels: int, dtype: str, **options: object) -> Callable[[BinaryIO], None]:
    def write(file: BinaryIO) -> None:
        import tifffile

        tifffile.imwrite(
            file, pixels(megapixels, channels, dtype), photometric="rgb" if channels > 1 else None, **options
        )

    return write


def png(
    megapixels: float, channels: int, colour_type: int, depth: int, trns: bytes = b""
) -> Callable[[BinaryIO], None]:
    """Squares of noise, with the chunk tRNS if `trns` is not empty."""

    def write(file: BinaryIO) -> None:
        values = pixels(megapixels, channels, f"u{depth // 8}")
        header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, colour_type, 0, 0, 0)
        packer = zlib.compressobj(1)
        parts = [packer.compress(b"\0" + line.astype(f">u{depth // 8}").tobytes()) for line in values]
        data = b"".join([*parts, packer.flush()])
        file.write(b"\x89PNG\r\n\x1a\n")
        for name, content in ((b"IHDR", header), (b"tRNS", trns), (b"IDAT", data), (b"IEND", b"")):
            if content or name == b"IEND":
                file.write(struct.pack(">I", len(content)) + name + content)
                file.write(struct.pack(">I", zlib.crc32(name + content)))

    return write


FILES = {
    "PNG colour": pillow("PNG", compress_level=1),
    "PNG with alpha": pillow("PNG", mode="RGBA", compress_level=1),
    "PNG palette": pillow("PNG", mode="P", compress_level=1, transparency=3),
    "PNG 16 bit gray": png(118, 1, 0, 16),
    "PNG 16 bit gray, a transparent value": png(118, 1, 0, 16, b"\0\0"),
    "PNG 16 bit gray with alpha": png(58, 2, 4, 16),
    "PNG 16 bit colour": png(78, 3, 2, 16),
    "PNG 16 bit with alpha": png(58, 4, 6, 16),
    "PNG 16 bit gray, 177 MP": png(177, 1, 0, 16),
    "JPEG": pillow("JPEG", quality=92),
    "JPEG progressive": pillow("JPEG", quality=92, progressive=True),
    "JPEG progressive 4:4:4": pillow("JPEG", 78, quality=92, progressive=True, subsampling=0),
    "JPEG CMYK": pillow("JPEG", mode="CMYK"),
    "JPEG CMYK progressive": pillow("JPEG", 58, mode="CMYK", progressive=True),
    "TIFF floats": tiff(118, 1, "f4", compression="deflate"),
    "TIFF doubles": tiff(58, 1, "f8", compression="deflate"),
    "TIFF floats in colour": tiff(39, 3, "f4", compression="deflate"),
    "TIFF 16 bit colour": tiff(78, 3, "u2", compression="deflate"),
    "TIFF 16 bit with alpha": tiff(58, 4, "u2", compression="deflate"),
    "TIFF 32 bit integers": tiff(118, 1, "i4", compression="deflate"),
    "TIFF CMYK": pillow("TIFF", mode="CMYK", compression="tiff_lzw"),
    "TIFF LZW": pillow("TIFF", compression="tiff_lzw"),
    "TIFF JPEG": pillow("TIFF", compression="jpeg"),
    "TIFF LZMA": pillow("TIFF", 60, compression="lzma"),
    "GIF": pillow("GIF", mode="P"),
    "BMP": pillow("BMP", 60),
    "WebP": pillow("WEBP", 39),
    "WebP lossless": pillow("WEBP", 39, lossless=True, quality=0, method=0),
    "AVIF": pillow("AVIF", 39, speed=10),
    "JPEG 2000": pillow("JPEG2000", 29),
    "QOI": pillow("QOI", 7.9),
    "PPM plain": lambda file: file.write(b"P3 2800 2800 255\n" + b"255 0 10 " * (2800 * 2800)) and None,
}

if __name__ == "__main__":
    main()
