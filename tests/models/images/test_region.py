"""Regions of image files: as paths, and as crops of the decoded image."""

from __future__ import annotations

import numpy as np
import pytest
from evenset.models.errors import ImageError
from evenset.models.images import decode as decoding
from evenset.models.images.decode import decode, load
from evenset.models.images.image_size import size_of
from evenset.models.images.reader import Images
from evenset.models.images.region import Region, file_of, parse
from evenset.models.images.survey import survey
from evenset.models.settings import ImageSettings
from PIL import Image

AS_IS = ImageSettings(threads=2)


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return str(path)


@pytest.fixture
def photo(tmp_path):
    """An image of 40 x 20 px whose pixels are all different."""
    pixels = np.stack([*np.mgrid[:20, :40], np.zeros((20, 40))], axis=2).astype(np.uint8) * 5
    return save(tmp_path / "photo.png", pixels), pixels


@pytest.mark.parametrize("file", ["/a/b.jpg", "/a/ü #xywh=percent:1,2.png", "/a/new\nline.jpg"])
def test_a_region_is_read_as_it_was_written(file):
    region = Region(file, (1 / 3, 0.1, 1e-7, 0.7), 0.1, "square")
    read = parse(str(region))

    assert (read.file, read.margin, read.shape) == (file, 0.1, "square")
    np.testing.assert_allclose(read.box, region.box, rtol=1e-15)
    assert file_of(str(region)) == file_of(file) == file
    assert parse(file) is None


def test_a_crop_is_the_box_with_its_margin(photo):
    file, pixels = photo
    exact = load(str(Region(file, (0.25, 0.25, 0.5, 0.5), 0.0, "box")), AS_IS, None, 3)
    wider = load(str(Region(file, (0.25, 0.25, 0.5, 0.5), 0.2, "box")), AS_IS, None, 3)

    np.testing.assert_array_equal(exact, pixels[5:15, 10:30])
    np.testing.assert_array_equal(wider, pixels[3:17, 6:34])


def test_a_square_crop_stays_inside_the_image(photo):
    file, pixels = photo
    tall = load(str(Region(file, (0.0, 0.1, 0.1, 0.8), 0.0, "square")), AS_IS, None, 3)
    wide = load(str(Region(file, (0.1, 0.1, 0.8, 0.2), 0.0, "square")), AS_IS, None, 3)

    np.testing.assert_array_equal(tall, pixels[2:18, :16])
    np.testing.assert_array_equal(wide, pixels[:, 4:36])


@pytest.mark.parametrize("box", [(-0.5, -0.5, 2.0, 2.0), (0.999, 0.999, 1e-9, 1e-9), (0.5, -1.0, 0.1, 1.0001)])
def test_a_crop_has_a_pixel_whatever_the_box(photo, box):
    for shape in ("square", "box"):
        pixels = load(str(Region(photo[0], box, 0.0, shape)), AS_IS, 8, 1)
        assert pixels.shape == (8, 8, 1)


@pytest.mark.parametrize("turn", range(1, 9))
def test_boxes_are_of_the_upright_image(photo, tmp_path, turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    back = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    inverse = back.get(turn, decoding.TRANSPOSES.get(turn))
    image = Image.fromarray(photo[1])
    (image.transpose(inverse) if inverse is not None else image).save(tmp_path / "turned.png", exif=exif)
    region = Region(str(tmp_path / "turned.png"), (0.25, 0.25, 0.5, 0.5), 0.0, "box")

    np.testing.assert_array_equal(load(str(region), AS_IS, None, 3), photo[1][5:15, 10:30])
    assert size_of(str(region)) == (20, 10)


def test_each_file_is_decoded_once_for_all_of_its_boxes(tmp_path, monkeypatch):
    rng, paths, read = np.random.default_rng(0), [], []
    for number in range(3):
        file = save(tmp_path / f"{number}.jpg", rng.integers(0, 255, (64, 64, 3), dtype=np.uint8))
        paths += [str(Region(file, (*rng.uniform(0, 0.7, 2), 0.2, 0.2), 0.1, "square")) for _ in range(40)]
    decode_file = decoding._decode
    monkeypatch.setattr(decoding, "_decode", lambda path, reading: read.append(path) or decode_file(path, reading))

    survey(paths, AS_IS)
    assert len(read) == 3
    read.clear()
    images = Images(paths, AS_IS, 16, 3, cache_megabytes=0)
    batches = np.concatenate([pixels for _, pixels in images.batches(32)])

    assert sorted(map(file_of, read)) == sorted({file_of(path) for path in paths})
    alone = np.stack([decode(path, AS_IS, lambda width, height: 16, 3).pixels for path in paths])
    np.testing.assert_array_equal(batches, alone.transpose(0, 3, 1, 2))


def test_a_large_jpeg_is_reduced_only_where_the_crop_keeps_enough(tmp_path, monkeypatch):
    y, x = np.mgrid[:512, :512]
    file = save(tmp_path / "large.jpg", np.stack([y // 2, x // 2, y // 4], axis=2).astype(np.uint8), quality=95)
    scales = []
    decode_jpeg = decoding.jpeg.decode
    monkeypatch.setattr(decoding.jpeg, "decode", lambda *args: scales.append(args[3]) or decode_jpeg(*args))
    whole, small = (
        load(str(Region(file, box, 0.0, "box")), AS_IS, 16, 3) for box in [(0.0, 0.0, 1.0, 1.0), (0.5, 0.5, 0.1, 0.1)]
    )

    assert scales == [8, 1]
    assert abs(whole[8, 8].astype(int) - [136, 136, 68]).max() < 6
    assert abs(small[8, 8].astype(int) - [142, 142, 71]).max() < 6


def test_a_damaged_file_is_refused_for_each_of_its_boxes(tmp_path):
    file = tmp_path / "damaged.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    paths = [str(Region(str(file), (0.1 * i, 0.1, 0.2, 0.2), 0.1, "square")) for i in range(5)]
    images = Images(paths, AS_IS, 16, 3)

    assert list(images.batches(5)) == []
    assert sorted(images.errors) == [0, 1, 2, 3, 4]
    assert all(reason.startswith(str(file)) and "#xywh" not in reason for reason in images.errors.values())
    with pytest.raises(ImageError, match="damaged.png is damaged"):
        load(paths[0], AS_IS, 16, 3)
