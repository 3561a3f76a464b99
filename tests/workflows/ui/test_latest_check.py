"""Whether a dataset was checked, and what was found, from the run's record alone."""

from __future__ import annotations

from evenset import check_dataset, delete_run
from evenset.tests.workflows.planted_photos import tiles, write, write_tiles
from evenset.workflows.ui.latest_check import latest_check


def test_the_newest_check_whose_field_is_there_is_known_with_its_counts(make_dataset, tmp_path):
    paths = [*write_tiles(tmp_path), write(tmp_path, tiles()[3], "copy.jpg")]
    dataset = make_dataset(paths)
    assert latest_check(dataset) is None

    first = check_dataset(dataset, progress=False)
    second = check_dataset(dataset.limit(30), output_field="again", progress=False)

    found = latest_check(dataset)
    assert (found.run_key, found.output_field, found.samples) == (second.run_key, "again", 30)
    assert found.counts == second.counts and "near duplicates" not in found.titles
    delete_run(dataset, second.run_key)
    found = latest_check(dataset)
    assert found.run_key == first.run_key and found.titles["near duplicates"] == 2
    dataset.delete_sample_field("check")
    assert latest_check(dataset) is None
