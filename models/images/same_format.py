"""Images read and written in their own file format, mode and quality."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, JpegImagePlugin, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from ..files import aside
from ..regular_files import regular
from ..settings import ImageSettings
from . import library_globals
from .decode import TRANSPOSES, decode
from .orientation import orientation

CHECK_PX = 8  # side of the first decoding, which refuses damaged files
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp"}
DESCRIPTION = 0x010E  # EXIF: ImageDescription
WITH_EXIF = ("JPEG", "TIFF", "WEBP", "AVIF")
WORKING_MODES = {"1": "L", "P": "RGB", "PA": "RGBA", "CMYK": "RGB", "YCbCr": "RGB", "RGBX": "RGB", "HSV": "RGB"}
HIGH = 65535  # of 16 bits
Change = Callable[[Image.Image], Image.Image]


class Original(NamedTuple):
    """An image as its file has it, upright."""

    image: Image.Image
    format: str  # of Pillow
    suffix: str
    options: dict[str, Any]  # of Image.save: quality, compression, colour profile


def read(path: str, settings: ImageSettings) -> Original:
    """The first frame of a file, upright, and how it was written.

    Raises:
        ImageError: missing, damaged, not an image, or over a limit of the settings
    """
    checked = decode(path, settings, lambda width, height: CHECK_PX, 3)
    try:
        with library_globals.strict(), Image.open(regular(Path(path))) as file:
            library_globals.without_metadata_warnings()
            written_as, options = _format(file), _options(file)
            turn = 1 if file.format == "TIFF" else orientation(file.info.get("exif"), file.info.get("xmp"))
            file.load()
            image = file.transpose(TRANSPOSES[turn]) if turn in TRANSPOSES else file.copy()
    except (OSError, ValueError, NotImplementedError, UnidentifiedImageError):  # of a kind that OpenCV reads
        pixels = decode(path, settings, lambda width, height: None, 1 if checked.gray else 3).pixels
        return Original(Image.fromarray(np.squeeze(pixels)), "PNG", SUFFIXES["PNG"], {})
    own_suffix = Path(path).suffix
    is_own = Image.registered_extensions().get(own_suffix.lower()) == written_as
    suffix = own_suffix if is_own else SUFFIXES.get(written_as, f".{written_as.lower()}")
    return Original(image, written_as, suffix, options)


def _format(file: Image.Image) -> str:
    """The format of a file, PNG where Pillow cannot write it."""
    Image.init()
    name = {"MPO": "JPEG"}.get(file.format or "", file.format or "")
    return name if name in Image.SAVE else "PNG"


def _options(file: Image.Image) -> dict[str, Any]:
    """Quality and compression of a file, as Image.save takes them."""
    options: dict[str, Any] = {name: file.info[name] for name in ("icc_profile", "dpi") if file.info.get(name)}
    if isinstance(file, JpegImagePlugin.JpegImageFile):
        options |= dict(qtables=file.quantization, progressive=bool(file.info.get("progressive")))
        subsampling = JpegImagePlugin.get_sampling(file)
        options |= dict(subsampling=subsampling) if subsampling >= 0 else {}
    elif file.format == "TIFF":
        options["compression"] = file.info.get("compression")
    elif file.format == "WEBP" and (path := getattr(file, "filename", "")):
        with open(regular(Path(path)), "rb") as start:
            options["lossless"] = b"VP8L" in start.read(64)
    return options


def change(original: Original, function: Change) -> Image.Image:
    """The image after a `function` of images of mode L, LA, RGB, RGBA or F (0..1), in its own mode."""
    image = original.image
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        return function(image)
    if image.mode.startswith("I") or image.mode == "F":
        return _change_deep(image, function)
    has_alpha = image.mode == "P" and "transparency" in image.info
    changed = function(image.convert("RGBA" if has_alpha else WORKING_MODES.get(image.mode, "RGB")))
    if image.mode == "1":
        return changed.convert("1", dither=Image.Dither.NONE)
    if image.mode != "P":
        return changed.convert(image.mode)
    if has_alpha:
        return changed.quantize(256, Image.Quantize.FASTOCTREE)
    return changed.quantize(palette=image, dither=Image.Dither.NONE)


def _change_deep(image: Image.Image, function: Change) -> Image.Image:
    """Of 16 bits, 32 bits or floats: scaled to 0..1 and back."""
    pixels = np.array(image)
    is_short = image.mode.startswith("I;16")
    low, high = (0.0, float(HIGH)) if is_short else (float(pixels.min()), float(pixels.max()))
    span = max(high - low, 1e-12)
    changed = np.array(function(Image.fromarray(((pixels - low) / span).astype(np.float32))), dtype=np.float64)
    values = np.clip(changed, 0, 1) * span + low
    if image.mode == "F":
        return Image.fromarray(values.astype(np.float32))
    return Image.fromarray(values.round().astype(np.uint16 if is_short else np.int32))


def write(image: Image.Image, original: Original, stem: Path, notes: dict[str, Any]) -> Path:
    """Writes an image as its original was written, with notes in it; a kill leaves no half file. Returns the path.

    Args:
        stem: the path without its suffix
        notes: PNG text chunks, or JSON in the EXIF description

    Raises:
        OSError: the disk is full
    """
    path = stem.with_name(stem.name + original.suffix)
    try:
        with aside(path, flush=False) as part:
            image.save(part, format=original.format, **original.options, **_notes(original.format, notes))
    except (KeyError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        path = stem.with_name(stem.name + SUFFIXES["PNG"])  # Pillow does not write this kind
        with aside(path, flush=False) as part:
            image.save(part, format="PNG", **_notes("PNG", notes))
    return path


def _notes(written_as: str, notes: dict[str, Any]) -> dict[str, Any]:
    """Options of Image.save that write notes."""
    if written_as == "PNG":
        chunks = PngInfo()
        for name, value in notes.items():
            if value is not None:
                chunks.add_text(f"evenset:{name}", value if isinstance(value, str) else json.dumps(value))
        return dict(pnginfo=chunks)
    if written_as not in WITH_EXIF:
        return {}
    exif = Image.Exif()
    exif[DESCRIPTION] = json.dumps({f"evenset:{name}": value for name, value in notes.items() if value is not None})
    return dict(exif=exif)
