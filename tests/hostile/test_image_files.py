"""Image files as they are found in the wild: damaged ones are refused by name, whole ones give the pixels in them.

The files are made here. Their pixels are known, so that numpy is the oracle of whole files; OpenCV, which checks every
CRC, and Pillow's verify() are those of damaged ones.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import simplejpeg
import tifffile
from evenset.models.errors import ImageError
from evenset.models.images.decode import load
from evenset.models.settings import ImageSettings
from PIL import Image, ImageFile, PngImagePlugin

AS_IS = ImageSettings()
RNG = np.random.default_rng(0)
COLOUR = cv2.resize(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)
NOISE = RNG.integers(0, 256, (48, 64, 3), dtype=np.uint8)  # does not compress: damage hits pixels
GRAY = COLOUR[..., 1]


def encode(pixels, kind: str, mode: str | None = None, **options) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def read(path: Path, data: bytes, channels: int = 3):
    path.write_bytes(data)
    return load(str(path), AS_IS, None, channels)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(pixels, colour_type: int, depth: int = 8, before: bytes = b"", after: bytes = b"", pieces: int = 1) -> bytes:
    """A PNG of `pixels` [H, W] or [H, W, C], with chunks before its data and after them."""
    height, width = pixels.shape[:2]
    if depth < 8:
        bits = np.unpackbits(pixels.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
        lines = np.packbits(bits.reshape(height, -1), axis=1)
    else:
        lines = pixels.astype(f">u{depth // 8}")
    packed = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))
    size = -(-len(packed) // pieces)
    data = b"".join(chunk(b"IDAT", packed[first : first + size]) for first in range(0, len(packed), size))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    return PngImagePlugin._MAGIC + header + before + data + after + chunk(b"IEND", b"")


# Damaged


def damaged_png() -> dict[str, bytes]:
    """A flipped byte anywhere in what the pixels depend on, and files that end early, at every kind of place."""
    deep = RNG.integers(0, 65536, (24, 32, 3))
    palette = chunk(b"PLTE", bytes(range(0, 240)))
    wholes = {
        "colour": encode(NOISE, "PNG"),
        "smooth": encode(COLOUR, "PNG"),
        "gray": encode(NOISE[..., 0], "PNG"),
        "palette": png(RNG.integers(0, 80, (32, 32)), 3, before=palette + chunk(b"tRNS", b"\0\x80\xff")),
        "16 bit": png(deep, 2, 16),
        "16 bit gray": png(deep[..., 0], 0, 16, before=chunk(b"tRNS", b"\0\7")),
        "4 bit": png(RNG.integers(0, 16, (40, 40)), 0, 4),
        "pieces": png(NOISE, 2, pieces=7),
    }
    files = {}
    for name, data in wholes.items():
        end = len(data) - 12  # IEND
        for at in [*np.linspace(8, end - 1, 12).astype(int), end - 1, end - 5]:  # its header, data, Adler-32 and CRC
            files[f"{name}: byte {at} flipped"] = flipped(data, int(at))
        for share in (0.2, 0.6, 0.95):
            files[f"{name}: {share} of it"] = data[: int(share * len(data))]
    files["sent as text"] = wholes["colour"].replace(b"\r\n", b"\n")
    files["first byte flipped"] = flipped(wholes["colour"], 0)
    pieces = wholes["pieces"]
    files["cut between two pieces"] = pieces[: pieces.rfind(b"IDAT") - 4] + chunk(b"IEND", b"")
    files["cut between two pieces, without an end"] = pieces[: pieces.rfind(b"IDAT") - 4]
    files["zeros from the middle on"] = pieces[: len(pieces) // 2] + bytes(len(pieces) // 2)
    deep_pieces = png(deep, 6, 16, pieces=3) if deep.shape[2] == 4 else png(deep, 2, 16, pieces=3)
    files["16 bit, cut between two pieces"] = deep_pieces[: deep_pieces.rfind(b"IDAT") - 4] + chunk(b"IEND", b"")
    return files


def jpegs() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "baseline": encode(NOISE, "JPEG", quality=90),
        "progressive": encode(NOISE, "JPEG", quality=90, progressive=True),
        "gray": encode(NOISE, "JPEG", "L"),
        "CMYK": encode(NOISE, "JPEG", "CMYK"),
        "4:4:4": encode(NOISE, "JPEG", subsampling=0),
        "restart markers": encode(NOISE, "JPEG", restart_marker_blocks=2),
        "EXIF": encode(NOISE, "JPEG", exif=exif),
        "RGB": encode(NOISE, "JPEG", keep_rgb=True),
        "large": encode(np.tile(NOISE, (8, 8, 1)), "JPEG"),
    }


def damaged_jpeg() -> dict[str, bytes]:
    """Data that end early, with an end marker, without one, or filled up with zeros."""
    files = {}
    for name, data in jpegs().items():
        scan = data.find(b"\xff\xda")
        for share in (0.3, 0.6, 0.97):
            cut = data[: scan + int(share * (len(data) - scan))]
            files[f"{name}: {share} of it"] = cut
            files[f"{name}: {share} of it, closed"] = cut.rstrip(b"\xff") + b"\xff\xd9"
            files[f"{name}: {share} of it, filled up"] = cut + bytes(len(data) - len(cut))
        files[f"{name}: header alone"] = data[: scan - 2]
    odd = jpegs()["baseline"].replace(b"JFIF\0\1", b"JFIF\0\7", 1)  # a warning of its own, before that of the damage
    files["unknown version, half of it, closed"] = odd[: len(odd) // 2] + b"\xff\xd9"
    return files


def damaged_others() -> dict[str, bytes]:
    files = {}
    wholes = {
        "gif": encode(NOISE, "GIF"),
        "bmp": encode(NOISE, "BMP"),
        "webp": encode(NOISE, "WEBP"),
        "webp lossless": encode(NOISE, "WEBP", lossless=True),
        "pcx": encode(NOISE, "PCX"),
        "tga": encode(NOISE, "TGA"),
        "tga rle": encode(NOISE, "TGA", compression="tga_rle"),
        "ppm": encode(NOISE, "PPM"),
        "jpeg 2000": encode(NOISE, "JPEG2000"),
        "avif": encode(NOISE, "AVIF"),
        "qoi": encode(NOISE, "QOI"),
        "sgi": encode(NOISE, "SGI"),
        "tiff": encode(NOISE, "TIFF"),
    }
    for name, data in wholes.items():
        for share in (0.4, 0.9):
            files[f"{name}: {share} of it"] = data[: int(share * len(data))]
    files["gif, closed"] = wholes["gif"][: len(wholes["gif"]) // 2] + b"\0;"
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "lzma", "packbits", "zstd", "group4"):
        data = encode(NOISE, "TIFF", "1" if compression == "group4" else None, compression=compression)
        with Image.open(io.BytesIO(data)) as image:
            offset, length = image.tag_v2[273][0], image.tag_v2[279][0]
        files[f"tiff {compression}: half of it"] = data[: len(data) // 2]
        if compression == "tiff_adobe_deflate":  # the others have no checksum
            files[f"tiff {compression}: flipped"] = flipped(data, offset + length // 2)
        if compression not in ("group4", "zstd"):
            zeros = data[: offset + length // 2] + bytes(length - length // 2) + data[offset + length :]
            files[f"tiff {compression}: zeros"] = zeros
    return files


@pytest.mark.parametrize("files", [damaged_png, damaged_jpeg, damaged_others])
def test_damaged_files_are_refused_by_name(tmp_path, files):
    passed = {}
    for number, (name, data) in enumerate(files().items()):
        path = tmp_path / f"{number}.bin"
        try:
            read(path, data)
            passed[name] = "read"
        except ImageError as error:
            if str(path) not in str(error) or "damaged or cut off" not in str(error):
                passed[name] = str(error)
    assert passed == {}


def test_other_decoders_refuse_the_damaged_png_files_as_well():
    """Pillow's verify() checks the CRC of each chunk, and OpenCV decodes the data."""
    for name, data in damaged_png().items():
        with pytest.raises((OSError, SyntaxError, LookupError)):
            Image.open(io.BytesIO(data)).verify()
            if cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) is None:
                raise LookupError(name)


# Whole


def whole_files() -> dict[str, tuple[bytes, np.ndarray]]:
    """name -> file, and its pixels [H, W, 3]."""
    gray = np.repeat(GRAY[..., None], 3, axis=2)
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = COLOUR[::-1, ::-1]
    text, profile = PngImagePlugin.PngInfo(), PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 1_500_000, zip=True)
    profile.add_text("prompt", "y" * 2_000_000)
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(60_000_000)))
    broken = chunk(b"tEXt", b"Comment\0abc")
    broken = broken[:-1] + bytes([broken[-1] ^ 1])
    icc = chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(3_000_000)))
    raw = exif.tobytes().hex().encode()
    magick = chunk(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n%8d\n" % (len(raw) // 2) + raw + b"\n")
    )
    plain = png(COLOUR, 2)
    files = {
        "png": (encode(COLOUR, "PNG"), COLOUR),
        "png, text of 1.5 MB": (encode(COLOUR, "PNG", pnginfo=text), COLOUR),
        "png, plain text of 2 MB": (encode(COLOUR, "PNG", pnginfo=profile), COLOUR),
        "png, text that inflates to 60 MB": (png(COLOUR, 2, before=bomb), COLOUR),
        "png, text after the data": (png(COLOUR, 2, after=bomb), COLOUR),
        "png, profile of 3 MB": (png(COLOUR, 2, before=icc), COLOUR),
        "png, damaged text": (png(COLOUR, 2, before=broken), COLOUR),
        "png, damaged text after the data": (png(COLOUR, 2, after=broken), COLOUR),
        "png, damaged EXIF": (png(COLOUR, 2, before=chunk(b"eXIf", b"junk")), COLOUR),
        "png, EXIF after the data": (png(COLOUR, 2, after=chunk(b"eXIf", exif.tobytes()[6:])), turned),
        "png, ImageMagick's EXIF": (png(COLOUR, 2, before=magick), turned),
        "png, bytes behind the end": (plain + b"junk" * 9, COLOUR),
        "png without an end": (plain[:-12], COLOUR),
        "png, end cut": (plain[:-5], COLOUR),
        "png, many pieces": (png(COLOUR, 2, pieces=99), COLOUR),
        "png, 16 bit": (png(COLOUR * np.uint16(257), 2, 16), COLOUR),
        "gif": (encode(GRAY, "GIF"), gray),
        "bmp": (encode(COLOUR, "BMP"), COLOUR),
        "tga": (encode(COLOUR, "TGA"), COLOUR),
        "ppm": (encode(COLOUR, "PPM"), COLOUR),
        "webp": (encode(COLOUR, "WEBP", lossless=True, exif=exif), turned),
        "jpeg 2000": (encode(COLOUR, "JPEG2000"), COLOUR),
        "avif": (encode(COLOUR, "AVIF", quality=100, subsampling="4:4:4"), COLOUR),
        "qoi": (encode(COLOUR, "QOI"), COLOUR),
        "dds": (encode(COLOUR, "DDS"), COLOUR),
    }
    return files


def deep_files() -> dict[str, tuple[bytes, np.ndarray]]:
    """More than 8 bits a sample, and what is transparent: name -> file, and its pixels [H, W, 3], by arithmetic."""
    twelve = COLOUR.astype(np.uint16) * 16 + 3
    twelve[0, 0] = 4095
    alpha = np.full((48, 64, 1), 4095, np.uint16)
    alpha[:8] = 0
    alpha[8:16] = 2048
    scaled = np.rint(twelve * (255 / 4095))
    white = np.rint(255 + (scaled - 255) * (alpha / 4095))
    gray = np.repeat(scaled[..., 1:2], 3, axis=2)
    white_gray = np.repeat(white[..., 1:2], 3, axis=2)
    key = tuple(twelve[5, 5])
    keyed = np.where((twelve == key).all(2, keepdims=True), 255, scaled)
    keyed_gray = np.where(twelve[..., 1:2] == key[1], 255, gray)
    four = RNG.integers(0, 16, (48, 64))
    palette = RNG.integers(0, 256, (16, 3), dtype=np.uint8)
    alphas = np.array([0, 128, 255, *[255] * 13])[:, None]
    mixed = np.rint(255 + (palette.astype(int) - 255) * (alphas / 255))
    table = chunk(b"PLTE", palette.tobytes())
    return {
        "png gray": (png(twelve[..., 1], 0, 16), gray),
        "png colour": (png(twelve, 2, 16), scaled),
        "png gray with alpha": (png(np.dstack([twelve[..., 1:2], alpha]), 4, 16), white_gray),
        "png colour with alpha": (png(np.dstack([twelve, alpha]), 6, 16), white),
        "png colour, opaque": (png(np.dstack([twelve, np.full_like(alpha, 65535)]), 6, 16), scaled),
        "png colour, a transparent one": (png(twelve, 2, 16, before=chunk(b"tRNS", struct.pack(">HHH", *key))), keyed),
        "png gray, a transparent one": (
            png(twelve[..., 1], 0, 16, chunk(b"tRNS", struct.pack(">H", key[1]))),
            keyed_gray,
        ),
        "png 4 bit gray, a transparent one": (
            png(four, 0, 4, chunk(b"tRNS", b"\0\5")),
            np.repeat(np.where(four == 5, 255, four * 17)[..., None], 3, axis=2),
        ),
        "png 1 bit gray, a transparent one": (
            png(four % 2, 0, 1, chunk(b"tRNS", b"\0\0")),
            np.full((48, 64, 3), 255),
        ),
        "png palette with alpha": (png(four, 3, 4, table + chunk(b"tRNS", b"\0\x80")), mixed[four]),
        "tiff gray": (tiff(twelve[..., 1]), gray),
        "tiff colour": (tiff(twelve, photometric="rgb"), scaled),
        "tiff colour, deflate": (tiff(twelve, photometric="rgb", compression="deflate", predictor=2), scaled),
        "tiff colour, tiles": (tiff(twelve, photometric="rgb", tile=(16, 16)), scaled),
        "tiff with alpha": (tiff(np.dstack([twelve, alpha]), photometric="rgb", extrasamples=["unassalpha"]), white),
        "tiff with something fourth": (
            tiff(np.dstack([twelve, alpha]), photometric="rgb", extrasamples=["unspecified"]),
            scaled,
        ),
        "tiff of floats in colour": (tiff((COLOUR / 255).astype("f4"), photometric="rgb"), COLOUR),
        "tiff of doubles": (tiff((GRAY / 255).astype("f8")), np.repeat(GRAY[..., None], 3, axis=2)),
        "tiff of signed bytes": (
            tiff(np.linspace(-128, 127, 48 * 64).astype("i1").reshape(48, 64)),
            np.repeat(np.linspace(-128, 127, 48 * 64).astype("i1").reshape(48, 64, 1).astype(int) + 128, 3, axis=2),
        ),
        "jpeg 2000 colour": (
            cv2.imencode(".jp2", twelve[..., ::-1], [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])[1].tobytes(),
            scaled,
        ),
        "ppm colour": (b"P6 64 48 65535\n" + twelve.astype(">u2").tobytes(), scaled),
    }


def tiff(pixels, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def test_deep_and_transparent_pixels_are_those_of_arithmetic(tmp_path, capfd):
    wrong = {}
    for number, (name, (data, pixels)) in enumerate(deep_files().items()):
        try:
            off = np.abs(read(tmp_path / f"{number}.bin", data).astype(float) - pixels).max()
            if off > (1 if "palette" in name else 0):  # Pillow mixes alpha in whole numbers
                wrong[name] = f"off by {off:g}"
        except ImageError as error:
            wrong[name] = str(error)
    assert wrong == {}
    assert capfd.readouterr().err == ""


def test_whole_files_are_read(tmp_path, capfd):
    wrong = {}
    for number, (name, (data, pixels)) in enumerate(whole_files().items()):
        try:
            found = read(tmp_path / f"{number}.bin", data)
            if found.shape != pixels.shape or np.abs(found.astype(int) - pixels).max() > (3 if name == "avif" else 0):
                wrong[name] = "other pixels"
        except ImageError as error:
            wrong[name] = str(error)
    assert wrong == {}
    assert capfd.readouterr().err == ""


def test_whole_jpeg_files_are_read(tmp_path, capfd):
    """Whatever is odd about them: the pixels are those that Pillow gives."""
    odd = dict(jpegs())
    for name in ("baseline", "progressive", "gray"):
        data = odd[name]
        odd[f"{name}, bytes behind the end"] = data + b"junk" * 20
        odd[f"{name}, zeros behind the end"] = data + bytes(99)
        odd[f"{name}, no end"] = data[:-2]
        odd[f"{name}, no end, zeros"] = data[:-2] + bytes(99)
        odd[f"{name}, bytes before the end"] = data[:-2] + b"\x12\x34\x56" * 9 + data[-2:]
        odd[f"{name}, fill bytes"] = data[:2] + b"\xff" * 5 + data[2:]
        odd[f"{name}, a comment"] = data[:2] + b"\xff\xfe\0\x06\xff\xd9\xff\xda" + data[2:]
        odd[f"{name}, bytes between segments"] = data[:20] + b"abc" + data[20:]
        odd[f"{name}, unknown version"] = data.replace(b"JFIF\0\1", b"JFIF\0\7", 1)
        odd[f"{name}, unknown segment"] = data[:2] + b"\xff\xe7\0\x06abcd" + data[2:]
    gray = bytearray(odd["gray"])
    gray[gray.find(b"\xff\xc0") + 11] = 0x22  # sampling factors of the only component, which mean nothing
    odd["gray, sampled 2 x 2"] = bytes(gray)
    odd["two pictures"] = odd["baseline"] + odd["progressive"]
    odd["4:1:1"] = simplejpeg.encode_jpeg(NOISE, colorspace="RGB", colorsubsampling="411")
    odd["4:4:0"] = simplejpeg.encode_jpeg(NOISE, colorspace="RGB", colorsubsampling="440")
    wrong = {}
    for number, (name, data) in enumerate(odd.items()):
        expected = np.asarray(
            Image.open(io.BytesIO(data if "no end" not in name else odd[name.split(",")[0]])).convert("RGB")
        )
        if name == "EXIF":
            expected = np.rot90(expected, -1)
        try:
            if not np.array_equal(read(tmp_path / f"{number}.jpg", data), expected):
                wrong[name] = "other pixels"
        except ImageError as error:
            wrong[name] = str(error)
    assert wrong == {}
    assert capfd.readouterr().err == ""


# Of another kind


def unsupported() -> dict[str, bytes]:
    """Whole files that no decoder here reads, or none reads right."""
    deep = RNG.integers(0, 4096, (48, 64, 3)).astype(np.uint16)
    masks = struct.pack("<III", 0x3FF00000, 0x000FFC00, 0x000003FF)
    ten_bits = struct.pack("<IiiHHIIiiII", 40, 8, 4, 1, 32, 3, 128, 0, 0, 0, 0) + masks + b"\xff" * 128
    bmp = bytearray(encode(NOISE, "BMP"))
    bmp[30:34] = struct.pack("<I", 4)  # JPEG inside
    dds = bytearray(encode(NOISE, "DDS"))
    dds[80:88] = struct.pack("<I4s", 4, b"ZZZZ")
    jpeg = jpegs()["baseline"]
    twelve = bytearray(jpeg)
    twelve[jpeg.find(b"\xff\xc0") + 4] = 12  # bits a sample
    apple = PngImagePlugin._MAGIC + chunk(b"CgBI", b"\x50\0\x20\6") + png(COLOUR, 2)[8:]
    files = {
        "bmp of ten bits": b"BM" + struct.pack("<IHHI", 14 + len(ten_bits), 0, 0, 66) + ten_bits,
        "bmp of jpeg": bytes(bmp),
        "dds of an unknown form": bytes(dds),
        "jpeg of twelve bits": bytes(twelve),
        "png of Apple": apple,
        "png of an unknown critical chunk": png(COLOUR, 2, before=chunk(b"ABCD", b"")),
        "tiff of gray and alpha": tiff(
            deep[..., :2], photometric="minisblack", extrasamples=["unassalpha"], planarconfig="contig"
        ),
        "tiff of wide planes": tiff(deep.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
        "tiff of half floats": tiff(deep[..., 0].astype(np.float16)),
        "tiff of long integers": tiff(deep[..., 0].astype(np.int64)),
    }
    plain = tiff(NOISE, photometric="rgb")
    at = plain.find(struct.pack("<HHI", 259, 3, 1)) + 8
    for compression in (9, 32809, 34661, 34712, 34892, 50001, 50002, 65000):
        files[f"tiff of compression {compression}"] = plain[:at] + struct.pack("<H", compression) + plain[at + 2 :]
    return files


def test_files_of_other_kinds_are_not_called_damaged(tmp_path):
    wrong = {}
    for number, (name, data) in enumerate(unsupported().items()):
        path = tmp_path / f"{number}.bin"
        try:
            read(path, data)
            wrong[name] = "read"
        except ImageError as error:
            if not str(error).startswith(
                f"{path} is of a kind that cannot be read ("
            ) or "convert it to PNG" not in str(error):
                wrong[name] = str(error)
    assert wrong == {}


# What a program around us sets


def test_a_notebook_that_lets_pillow_read_what_is_cut_off_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for name, data in {**damaged_png(), **damaged_others()}.items():
        with pytest.raises(ImageError, match="damaged or cut off"):
            read(tmp_path / "cut.bin", data)
            raise AssertionError(name)
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_odd_metadata_warn_of_nothing(tmp_path, recwarn):
    data = tiff(COLOUR, photometric="rgb")
    unit = struct.pack("<HHI", 296, 3, 1)  # of the resolution: one value is usual
    assert data.count(unit) == 1
    path = tmp_path / "odd.tif"
    path.write_bytes(data.replace(unit, struct.pack("<HHI", 296, 3, 2)))
    with pytest.warns(UserWarning, match="had too many entries"), Image.open(path):
        pass
    recwarn.clear()
    assert (load(str(path), AS_IS, None, 3) == COLOUR).all()
    assert [str(warning.message) for warning in recwarn if warning.category is UserWarning] == []
