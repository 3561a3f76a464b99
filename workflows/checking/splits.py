"""Splits of a dataset: tags, or a field whose values are the splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...models.errors import InvalidInput
from ..data.field_access import require_visible, with_all_fields
from ..data.groups import NOT_GROUPS
from ..data.internals import root_dataset
from ..data.label_text import or_none
from ..data.labels import real_samples

Splits = Sequence[str] | str | None


def read_splits(samples: Any, splits: Splits) -> dict[str, frozenset[str]]:
    """The splits of each sample by id; several where it has several of the tags.

    Raises:
        ValueError: no such field or tag, or fewer than two splits
    """
    if splits is None:
        return {}
    real, _ = real_samples(with_all_fields(samples))
    if isinstance(splits, str):
        _check_field(samples, splits)
        ids, values = real.values(["id", splits])
        names = [_names(value, splits, i) for i, value in zip(ids, values, strict=True)]
        used = set().union(*names)
        if len(used) < 2:
            only = f"one value, {next(iter(used))!r}," if used else "no value"
            raise InvalidInput(f"splits: the field {splits!r} has {only} in these samples: two splits can be compared")
    else:
        _check_tags(samples, splits)
        ids, tags = real.values(["id", "tags"])
        names = [frozenset(own) & frozenset(splits) for own in tags]
    return dict(zip(ids, names, strict=True))


def _check_field(samples: Any, name: str) -> None:
    dataset = root_dataset(samples)
    if not dataset.has_field(name):
        tags = ", ".join(sorted(dataset.distinct("tags"))) or "none"
        raise InvalidInput(
            f"splits: {dataset.name!r} has no field {name!r}: name a field whose values are the splits, or list two "
            f"tags or more (its tags are {tags})"
        )
    require_visible(samples, name)
    kind = type(dataset.get_field(name)).__name__
    if kind in NOT_GROUPS:
        raise InvalidInput(
            f"splits: the field {name!r} holds {kind}: it needs one value a sample, such as 'train'; tags are given "
            "as a list"
        )


def _check_tags(samples: Any, tags: Sequence[str]) -> None:
    if len(set(tags)) < 2:
        raise InvalidInput(f"splits has to be a field, or two tags or more, not {list(tags)!r}")
    existing = set(samples.distinct("tags"))
    missing = [tag for tag in tags if tag not in existing]
    if missing:
        raise InvalidInput(
            f"splits: no sample has the tag {missing[0]!r}: the tags are {', '.join(sorted(existing)) or 'none'}"
        )


def _names(value: Any, field: str, sample_id: str) -> frozenset[str]:
    """The split of one sample, if it has any.

    Raises:
        ValueError: it is a list or a document
    """
    if isinstance(value, (list, tuple, dict)) or hasattr(value, "to_dict"):
        raise InvalidInput(
            f"splits: the field {field!r} holds {type(value).__name__} in sample {sample_id}: it needs one value"
        )
    text = None if value is None or value != value else or_none(str(value))
    return frozenset() if text is None else frozenset([text])
