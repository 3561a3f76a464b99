"""Threads and memory are bounded, and neither changes order or content."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from evenset.models.errors import ImageError
from evenset.models.images import reader
from evenset.models.images.decode import decode, load
from evenset.models.images.reader import Images, in_order
from evenset.models.images.survey import survey
from evenset.models.settings import ImageSettings
from evenset.tests.models.images.sample_files import AS_IS


def test_order_and_content_do_not_depend_on_the_number_of_threads(folder_of):
    paths = folder_of(70)
    expected = np.stack([load(path, AS_IS, 16, 3).transpose(2, 0, 1) for path in paths])
    for threads in (1, 8):
        images = Images(paths, ImageSettings(threads=threads), 16, 3)
        batches = list(images.batches(32))
        assert [len(indices) for indices, _ in batches] == [32, 32, 6]
        assert np.concatenate([indices for indices, _ in batches]).tolist() == list(range(70))
        assert (np.concatenate([pixels for _, pixels in batches]) == expected).all()
        order = np.array([5, 69, 5, 0])
        assert (images[order] == expected[order]).all()
        surveyed = survey(paths, ImageSettings(threads=threads))
        alone = survey(paths, ImageSettings(threads=2))
        assert (surveyed.mean == alone.mean).all() and (surveyed.std == alone.std).all()
        assert (surveyed.thumbnails == alone.thumbnails).all()


def test_images_stay_in_memory_up_to_the_budget_and_no_further(folder_of):
    paths = folder_of(40)
    images = Images(paths, AS_IS, 16, 3, cache_megabytes=10 * 16 * 16 * 3 / 1e6)
    first = images[np.arange(40)]
    for path in paths[:10]:
        os.unlink(path)
    assert (images[np.arange(10)] == first[:10]).all()
    assert (images[np.arange(5, 20)] == first[5:20]).all()
    for path in paths[10:]:
        os.unlink(path)
    with pytest.raises(ImageError, match="010.jpg does not exist"):
        images[np.arange(9, 12)]
    assert Images(paths, AS_IS, 16, 3, cache_megabytes=0)._cache.nbytes == 0


def test_indexed_images_stay_in_memory_wherever_they_stand_and_streamed_ones_do_not(folder_of):
    paths = folder_of(40)
    images = Images(paths, AS_IS, 16, 3, cache_megabytes=10 * 16 * 16 * 3 / 1e6)
    streamed = np.concatenate([pixels for _, pixels in images.batches(8)])
    last = images[np.arange(30, 40)]
    assert (last == streamed[30:]).all()
    for path in paths:
        os.unlink(path)
    assert (images[np.array([39, 30, 39])] == streamed[[39, 30, 39]]).all()
    with pytest.raises(ImageError, match="029.jpg does not exist"):
        images[np.array([30, 29])]


def test_bad_files_are_left_out_of_batches_and_recorded(folder_of):
    paths = folder_of(20)
    Path(paths[3]).write_bytes(b"")
    os.unlink(paths[17])
    images = Images(paths, AS_IS, 16, 3)
    read = np.concatenate([indices for indices, _ in images.batches(8)])
    assert read.tolist() == [i for i in range(20) if i not in (3, 17)]
    assert sorted(images.errors) == [3, 17]
    assert "003.jpg is empty" in images.errors[3]
    with pytest.raises(ImageError, match="017.jpg does not exist"):
        images[np.array([1, 17, 3])]
    assert list(images.batches(1, np.array([3, 17]))) == []


def test_batches_follow_the_indices_they_are_given(folder_of):
    images = Images(folder_of(9), AS_IS, 16, 3)
    order = np.array([8, 0, 8, 4, 2])
    batches = list(images.batches(2, order))
    assert [indices.tolist() for indices, _ in batches] == [[8, 0], [8, 4], [2]]
    assert (batches[0][1][0] == images[np.array([8])][0]).all()
    assert len(images[np.array([], dtype=int)]) == 0
    for outside in (-1, 9):
        with pytest.raises(IndexError, match="there are 9 images"):
            images[np.array([0, outside])]


def test_images_without_a_size_or_with_two_channels_are_refused(folder_of):
    paths = folder_of(1)
    for size_px, channels in ((0, 3), (16, 2)):
        with pytest.raises(ValueError, match="size_px has to be 1 or more and channels 1 or 3"):
            Images(paths, AS_IS, size_px, channels)


def test_work_is_taken_in_order_and_never_further_ahead_than_the_bound():
    """A slow consumer: what was taken from the source, less what was yielded, is the memory in use."""
    taken, lock, ahead = 0, threading.Lock(), 5

    def source():
        nonlocal taken
        for item in range(200):
            taken += 1
            yield item

    def work(item):
        with lock:
            return item * item

    most = 0
    for yielded, result in enumerate(in_order(work, source(), threads=3, ahead=ahead)):
        assert result == yielded**2
        most = max(most, taken - yielded)
    assert taken == 200
    assert most == ahead


def test_batches_read_ahead_by_a_bound_that_does_not_grow_with_the_files(folder_of, monkeypatch):
    paths = folder_of(16) * 40
    read = []
    monkeypatch.setattr(reader, "decode", lambda path, *rest: read.append(path) or decode(path, *rest))
    images = Images(paths, ImageSettings(threads=2), 8, 1, cache_megabytes=0)
    most, yielded = 0, 0
    for indices, _ in images.batches(32):
        most = max(most, len(read) - yielded)  # those of this batch, and those ahead of it
        yielded += len(indices)
    assert len(read) == 640
    assert 32 <= most <= 32 + (2 + 2) * 16  # the batch, and `threads + batch` pieces of 16


def test_a_stream_that_is_left_early_stops_its_threads(folder_of):
    stream = Images(folder_of(64), ImageSettings(threads=4), 16, 3).batches(16)
    next(stream)
    stream.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("evenset")]
