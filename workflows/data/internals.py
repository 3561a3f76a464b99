"""FiftyOne's private names, in one place: a new release of FiftyOne may change them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from bson import json_util


def database() -> Any:
    """FiftyOne's database."""
    import fiftyone.core.odm as foo

    return foo.get_db_conn()


def root_dataset(samples: Any) -> Any:
    """The dataset of a view, or the dataset itself."""
    return samples._root_dataset


def is_collection(value: Any) -> bool:
    """Whether a value is a dataset or a view."""
    return hasattr(value, "_root_dataset")


def document(dataset: Any) -> Any:
    """The database document of a dataset: its id, runs, saved views and evaluations."""
    return dataset._doc


def dataset_id(dataset: Any) -> Any:
    """ObjectId of a dataset, which stays when it is renamed."""
    return dataset._doc.id


def sample_collection(dataset: Any) -> Any:
    """The MongoDB collection of a dataset's samples."""
    return dataset._sample_collection


def reload_dataset(dataset: Any) -> None:
    """FiftyOne's `reload`, but the samples that a caller holds are read again only where the fields changed.

    It would discard their unsaved values, and takes minutes where many are held.
    """
    import fiftyone.core.dataset as fod

    document, *classes = fod._load_dataset(dataset, dataset.name, virtual=True)
    known = [dataset._sample_doc_cls, dataset._frame_doc_cls]
    if document.media_type == dataset.media_type and [*map(_fields, classes)] == [*map(_fields, known)]:
        dataset._doc = document
    else:
        dataset.reload()


def _fields(document_class: Any) -> dict[str, Any]:
    """The fields of a class of documents by name, without when they were made."""
    from fiftyone.core.odm import SampleFieldDocument

    def described(fields: Iterable[Any]) -> dict[str, Any]:
        by_name = {field.pop("name"): field for field in fields}
        return {
            name: field | {"fields": described(field["fields"] or ()), "created_at": None}
            for name, field in by_name.items()
        }

    fields = document_class._fields.values() if document_class else ()
    return described(SampleFieldDocument.from_field(field).to_dict() for field in fields)


def reload_samples(dataset: Any, ids: Sequence[str]) -> None:
    """Reads samples again that a caller holds."""
    import fiftyone as fo

    fo.Sample._reload_docs(dataset._sample_collection_name, sample_ids=list(ids))


def aggregate(samples: Any, pipeline: Sequence[Any]) -> Any:
    """Rows of a MongoDB pipeline that follows that of a view."""
    return samples._aggregate(post_pipeline=pipeline)


def read_values(samples: Any, paths: Sequence[str], as_is: Collection[str]) -> list[Any]:
    """Like `samples.values`, five times as fast for the attributes `as_is`: MongoDB's lists of numbers, unconverted."""
    import fiftyone as fo

    return list(samples.aggregate([fo.Values(path, _raw=path.rpartition(".")[2] in as_is) for path in paths]))


def stages_of(view: Any) -> list[Any]:
    return list(view._stages)


def all_stages_of(view: Any) -> list[Any]:
    """The stages of a view, of patches with those before them."""
    return list(view._all_stages)


def is_generated(view: Any) -> bool:
    """Whether a view has no samples of its own: patches, frames or clips."""
    return bool(view._is_generated)


def is_of_frames(view: Any) -> bool:
    """Whether a view has a sample for each frame of videos."""
    return bool(view._is_frames)


def serialized(view: Any) -> list[dict[str, Any]]:
    """A view's stages, as JSON can hold them."""
    return view._serialize()  # type: ignore[no-any-return]


def view_from(dataset: Any, stages: list[dict[str, Any]]) -> Any:
    """The view of stages that were serialized."""
    from fiftyone import DatasetView

    return DatasetView._build(dataset, stages)


def forget_patches(stages: list[str]) -> list[str]:
    """Stages of a saved view, as its document has them, without the patches made for it: they are made again.

    FiftyOne loads the patches that were made first, whatever changed since.
    """
    read = [json_util.loads(stage) for stage in stages]
    for stage in read:
        if stage["_cls"].endswith(".ToPatches"):
            stage["kwargs"] = [[name, None if name == "_state" else value] for name, value in stage["kwargs"]]
    return [json_util.dumps(stage) for stage in read]


def saved_view_document(dataset: Any, name: str) -> Any:
    return dataset._get_saved_view_doc(name)


def requests_to_app(ctx: Any) -> list[Any]:
    """The calls that an operator's answer sends to the App."""
    return ctx.executor._requests  # type: ignore[no-any-return]
