"""Ids of tags: that of the sample, and the class."""

from __future__ import annotations


def tag_id(sample_id: str, name: str) -> str:
    """Id of the tag of a class."""
    return f"{sample_id}/{name}"


def is_tag(item_id: str) -> bool:
    """Whether an id is that of a tag."""
    return "/" in item_id


def tag_of(item_id: str) -> tuple[str, str]:
    """Id of a tag's sample, and its class."""
    sample_id, _, name = item_id.partition("/")
    return sample_id, name
