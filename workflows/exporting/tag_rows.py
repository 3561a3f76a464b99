"""Tags of an export: those that each sample has, and accepted suggestions to add one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..data import items
from ..data.label_text import or_none
from ..data.provenance import provenance_paths
from ..data.status import Status
from ..data.tag_ids import tag_id
from ..data.tags import ACTION, ADD, NO_TAG

NO_SUGGESTION = (None, None, None)


def read_columns(
    samples: Any, field: str, suggestions: str | None, of_sample: Sequence[str], names: Sequence[str]
) -> dict[str, list[Any]]:
    """Columns with a row for each tag, and for each sample whose list is empty: it has NO_TAG for a label.

    Args:
        of_sample: paths of the sample, after its id
        names: of the columns that are returned: ids of the tag and of its sample, these paths, text, confidence, run
            and review of the tag, and text, confidence and status of the suggestion
    """
    own = [f"{field}.label", f"{field}.confidence", *provenance_paths(field)[:2]]
    suggested = [f"{suggestions}.{name}" for name in ("label", "confidence", "status", ACTION)] if suggestions else []
    paths = [items.leaf(samples, path) for path in (*own, *suggested)]
    read = samples.values(["id", *of_sample, *paths])
    first = 1 + len(of_sample)
    rows: list[tuple[Any, ...]] = []
    for sample in zip(*read, strict=True):
        tags, additions = sample[first : first + len(own)], sample[first + len(own) :]
        for label, suggestion in _tags(tags, additions):
            name = label[0] or suggestion[0] or ""
            rows.append((tag_id(sample[0], "" if label[0] is NO_TAG else name), *sample[:first], *label, *suggestion))
    columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
    return dict(zip(names, columns, strict=False))


def _tags(own: Sequence[Any], suggested: Sequence[Any]) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Tag and suggestion of each row of a sample; one of the two is empty."""
    has: dict[Any, tuple[Any, ...]] = {}  # a tag that is there twice counts once
    if own[0] is not None:
        lists = [column or [None] * len(own[0]) for column in own]
        for tag in zip(*lists, strict=True):
            has.setdefault(or_none(tag[0]), tag)
    additions = [tag[:3] for tag in zip(*(column or () for column in suggested), strict=True) if tag[3] == ADD]
    additions = [tag for tag in additions if tag[2] == Status.ACCEPTED and or_none(tag[0]) not in has]
    if own[0] == [] and not additions:
        yield (NO_TAG, None, None, None), NO_SUGGESTION
    yield from ((tag, NO_SUGGESTION) for tag in has.values())
    yield from ((((None,) * 4), tag) for tag in additions)


def documents(copy: Any, field: str, wanted: Mapping[str, Mapping[str, float | None]]) -> dict[str, Any]:
    """The field of each sample with its exported tags alone, and with those that are only suggested so far.

    Args:
        wanted: confidence by tag, by sample
    """
    import fiftyone as fo

    found: dict[str, Any] = {}
    for sample_id, own in zip(*copy.values(["id", f"{field}.classifications"]), strict=True):
        left = dict(wanted[sample_id])
        tags = [tag for tag in own or () if left.pop(tag.label, False) is not False]
        tags += [fo.Classification(label=name, confidence=confidence) for name, confidence in left.items()]
        found[sample_id] = fo.Classifications(classifications=tags)
    return found
