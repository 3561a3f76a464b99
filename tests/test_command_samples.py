"""--view, --tag, --ids and --limit: what they leave of a dataset, and what they name where it is not there."""

from __future__ import annotations

import pytest
from cyclopts import CycloptsError
from evenset.command_samples import find_samples


@pytest.fixture
def dataset(make_dataset):
    made = make_dataset([f"/nowhere/{i}.png" for i in range(6)])
    made.limit(4).tag_samples("new")
    made.skip(3).tag_samples("dark")
    made.save_view("five", made.limit(5))
    return made


def numbers(samples):
    """The numbers in the names of the samples' files."""
    return [int(path[-5]) for path in samples.values("filepath")]


def test_each_option_narrows_what_the_others_leave(dataset, tmp_path):
    ids = dataset.values("id")
    (tmp_path / "ids.txt").write_text("\n".join([ids[4], "", ids[3], ids[0]]))

    def left(**options):
        return numbers(find_samples(dataset.name, options))

    assert left() == [0, 1, 2, 3, 4, 5]
    assert left(tag=["dark"]) == [3, 4, 5]
    assert left(tag=["dark", "new"], limit=2) == [0, 1]
    assert left(view="five", tag=["dark"]) == [3, 4]
    assert left(ids=str(tmp_path / "ids.txt")) == [0, 3, 4]
    assert left(view="five", tag=["dark"], ids=str(tmp_path / "ids.txt"), limit=1) == [3]


def test_a_csv_file_with_a_column_of_ids_is_read(dataset, tmp_path):
    ids = dataset.values("id")
    (tmp_path / "rows.csv").write_text(f'note,id\n"a, b",{ids[1]}\n')

    assert numbers(find_samples(dataset.name, dict(ids=str(tmp_path / "rows.csv")))) == [1]


def test_ids_that_are_not_there_are_counted_with_the_first_line(dataset, tmp_path, capsys):
    path = tmp_path / "ids.txt"
    path.write_text(f"id\n{dataset.first().id}\nnobody\n{'0' * 24}\n")

    assert numbers(find_samples(dataset.name, dict(ids=str(path)))) == [0]
    said = capsys.readouterr().err
    assert f"2 of the 3 ids in {path} are no samples here, the first is 'nobody' in line 3" in said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (dict(view="six"), "has no saved view 'six': there are 'five'"),
        (dict(tag=["new", "old"]), "has the tag 'old': there are 'dark', 'new'"),
        (dict(ids="/not/there"), "--ids: /not/there cannot be read: No such file"),
        (dict(ids="EMPTY"), "has no ids: write one a line"),
        (dict(ids="OTHERS"), "1 of the 1 ids in .* are no samples here"),
        (dict(ids="TABLE"), "line 1: there is no column 'id' among 'name', 'label'"),
        (dict(limit=0), "--limit has to be at least 1, not 0"),
    ],
)
def test_what_is_not_there_is_named(dataset, tmp_path, options, sentence):
    for name, text in dict(EMPTY="\n\n", OTHERS="nobody\n", TABLE="name,label\nx,y\n").items():
        (tmp_path / name).write_text(text)
    options = {name: str(tmp_path / value) if str(value).isupper() else value for name, value in options.items()}

    with pytest.raises(CycloptsError, match=sentence):
        find_samples(dataset.name, options)


def test_a_tag_that_the_view_lacks_is_refused(dataset):
    dataset.save_view("last", dataset.skip(5))

    with pytest.raises(CycloptsError, match="none of the samples has the tag 'new'"):
        find_samples(dataset.name, dict(view="last", tag=["new"]))
