"""Samples that objects may be cut out of and pasted into, and the sources of new images that fit a field."""

from __future__ import annotations

from ...models.errors import InvalidInput
from ..data import items
from ..data.checks import check_images, check_label_field, is_empty
from ..data.internals import root_dataset
from ..data.labels import real_samples
from ..display.tables import counted
from ..runs import records
from ..runs.arguments import Samples
from .config import BalanceConfig

SPLIT = "evenset_split_dataset_"  # begins the keys of splits
HELD_OUT = ("val", "valid", "validation", "test")  # tags of samples that train nothing, whoever gave them


def check_source(samples: Samples, label_field: str, config: BalanceConfig) -> None:
    """Checks that the source of new images fits the labels: objects are pasted for boxes, and for nothing else.

    Raises:
        ValueError: it does not fit, or something is asked for that boxes do not have
    """
    check_images(samples)
    if not items.has_boxes(samples, label_field):
        if config.pastes:
            check_label_field(samples, label_field)
            raise InvalidInput(
                f"source='paste' cuts out boxes, and the field {label_field!r} has one label for each sample: give "
                "source='augment' or 'generate'"
            )
        return
    if not config.pastes:
        refuse_boxes(samples, label_field, f"source={config.balance.source!r} makes")
    if items.list_of(samples, label_field) != "detections":
        raise InvalidInput(f"the field {label_field!r} holds fo.Polylines: source='paste' needs fo.Detections")
    if config.balance.filter_augmented:
        raise InvalidInput(
            "pasted objects are not filtered, since each is a copy by construction: leave filter_augmented out; "
            "measure_benefit=True measures their gain on crops"
        )


def refuse_boxes(samples: Samples, label_field: str, makes: str) -> None:
    """Raises ValueError for a field of boxes, with the source that takes them.

    Args:
        makes: subject and verb of the sentence
    """
    if items.has_boxes(samples, label_field):
        raise InvalidInput(
            f"the field {label_field!r} holds boxes, and {makes} whole images with one label each: "
            "balance_classes with source='paste' pastes objects of small classes into other images"
        )


def for_training(samples: Samples) -> tuple[Samples, list[str]]:
    """The samples that copies may be made of, without held-out ones, and sentences on those left out.

    After a `split_dataset`, these have the tag of its training part; else, none of HELD_OUT.

    Raises:
        ValueError: no sample is left
    """
    dataset = root_dataset(samples)
    splits = [records.read_record(dataset, key) for key in records.keys(dataset) if key.startswith(SPLIT)]
    done = max((split for split in splits if split.state == "done"), key=lambda split: split.started, default=None)
    tag = str(done.settings.get("train_tag") or "") if done else ""
    present = [name for name in HELD_OUT if name in dataset.distinct("tags")]
    if tag:
        kept, why = samples.match_tags(tag), f"not tagged {tag!r}"
    elif present:
        kept, why = samples.match_tags(present, bool=False), f"tagged {' or '.join(map(repr, present))}"
    else:
        return samples, []
    if is_empty(kept):
        raise InvalidInput(f"all samples are {why}, and copies of them would leak into training: nothing can be pasted")
    left = real_samples(samples)[0].count("id") - real_samples(kept)[0].count("id")
    note = (
        f"{counted(left, 'sample', 'is', 'are')} left out, {why}: copies of held-out images would leak into training."
    )
    return kept, [note] if left else []
