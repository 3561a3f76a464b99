"""Encoders by name: models of FiftyOne's zoo, of timm, and torchvision's ResNets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from ...models.errors import InvalidInput
from ...models.images.reader import Images
from ...models.images.region import parse
from ...models.settings import ImageSettings

if TYPE_CHECKING:
    from ...models.encoders.encoder import Encoder

TIMM, TORCHVISION = "timm/", "torchvision/"
ZOO_CHUNK = 512  # images a call of FiftyOne's, after which their vectors are kept
INSTEAD = "or give embeddings= a field of vectors"
Report = Callable[[int], None]  # number of images done


class Files(NamedTuple):
    """Images to encode."""

    paths: list[str]  # [n]
    ids: list[str]  # of a sample of each [n]
    samples: Any  # a view or dataset that has them


class ImageEncoder(Protocol):
    """A pretrained encoder of image files."""

    name: str
    preprocessing: str
    version: str  # of the weights
    precision: str | None  # None: chosen by speed, or its library's
    errors: dict[int, str]  # index of a file of the last call -> why it has no vector
    notes: dict[int, str]  # index of a readable file -> a doubt

    def choose_precision(self, count: int) -> str | None:
        """The faster precision for a number of images; None: its library chooses."""
        ...

    def encode(self, files: Files, report: Report) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Streams indices [B] and vectors [B, D]; files without a vector are in `errors`."""
        ...


class NetworkEncoder:
    """A network of timm or torchvision; the images are read as everywhere else."""

    def __init__(self, encoder: Encoder, device: str = "auto") -> None:
        self.encoder, self.device = encoder, device
        self.precision: str | None = None
        self.name, self.preprocessing, self.version = encoder.name, encoder.preprocessing, encoder.version
        self.errors: dict[int, str] = {}
        self.notes: dict[int, str] = {}

    def choose_precision(self, count: int) -> str:
        from ...models.encoders import encoder as encoders

        return encoders.choose_precision(self.encoder, self.device, count)

    def encode(self, files: Files, report: Report) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        from ...models.encoders import encoder as encoders

        fit = "pad" if files.paths and parse(files.paths[0]) else "crop"  # a box is seen as a whole
        images = Images(files.paths, ImageSettings(fit=fit), self.encoder.read_px, 3, cache_megabytes=0)
        self.errors, self.notes = images.errors, images.notes
        batches = images.batches(encoders.batch_size(self.device))
        count = len(files.paths)
        for indices, vectors in encoders.encode(self.encoder, batches, self.device, count, self.precision):
            yield indices, vectors
            report(int(indices[-1]) + 1)


class FiftyOneEncoder:
    """A model of FiftyOne, with its own preprocessing."""

    preprocessing = "its own"
    version = ""

    def __init__(self, name: str, model: Any) -> None:
        self.name, self.model = name, model
        self.precision: str | None = None
        self.errors: dict[int, str] = {}
        self.notes: dict[int, str] = {}

    def choose_precision(self, count: int) -> None:
        return None

    def encode(self, files: Files, report: Report) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self.errors = {}
        for first in range(0, len(files.ids), ZOO_CHUNK):
            ids = files.ids[first : first + ZOO_CHUNK]

            def progress(bar: Any, first: int = first) -> None:  # after each batch; raising ends the work
                report(first + bar.iteration)

            view = files.samples.select(ids, ordered=True)
            rows = view.compute_embeddings(self.model, skip_failures=True, progress=progress)
            usable = [i for i, row in enumerate(rows) if row is not None]
            bad = sorted(set(range(len(ids))) - set(usable))
            self.errors.update({first + i: f"{self.name} gave no vector for {files.paths[first + i]}" for i in bad})
            if usable:
                yield first + np.array(usable), np.array([np.ravel(rows[i]) for i in usable], dtype=np.float32)


def is_encoder(name: str) -> bool:
    """Whether a text names an encoder."""
    if name.startswith((TIMM, TORCHVISION)) or is_in_zoo(name):
        return True
    from ...models.encoders import timm_encoder

    return timm_encoder.is_name(name)


def is_in_zoo(name: str) -> bool:
    import fiftyone.zoo as foz

    return name in foz.list_zoo_models()


def open_encoder(name: str, device: str = "auto") -> ImageEncoder:
    """The encoder of a name, its weights downloaded if necessary.

    Raises:
        ValueError: its weights cannot be had, or do not fit
    """
    if is_in_zoo(name):
        return FiftyOneEncoder(name, _load_zoo_model(name))
    if name.startswith(TORCHVISION):
        from ...models.encoders import torchvision_encoder

        return NetworkEncoder(torchvision_encoder.build(name.removeprefix(TORCHVISION)), device)
    from ...models.encoders import timm_encoder

    name = name.removeprefix(TIMM)
    if not timm_encoder.is_name(name):
        raise InvalidInput(f"timm has no model {name!r}: timm.list_models(pretrained=True) lists them")
    return NetworkEncoder(timm_encoder.build(name), device)


def _load_zoo_model(name: str) -> Any:
    """A model of the zoo, downloaded if necessary.

    Raises:
        ValueError: it cannot be downloaded or loaded, or has no embeddings
    """
    import fiftyone.zoo as foz

    try:
        model = foz.load_zoo_model(name)
    except Exception as error:  # each model has a library of its own, and its errors
        if _is_offline(error):
            raise InvalidInput(
                f"the model {name!r} of FiftyOne's zoo cannot be downloaded, as its server does not answer: connect "
                f"to the internet once, since the file is kept, {INSTEAD}"
            ) from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InvalidInput(
            f"the model {name!r} of FiftyOne's zoo cannot be loaded ({reason}): mend that, {INSTEAD}"
        ) from error
    if not getattr(model, "has_embeddings", False):
        raise InvalidInput(f"the model {name!r} of FiftyOne's zoo has no embeddings: choose another, {INSTEAD}")
    return model


def _is_offline(error: BaseException | None) -> bool:
    """Whether an error, or its cause, is a failed connection of socket, urllib, requests or httpx."""
    while error is not None:
        names = {kind.__name__ for kind in type(error).__mro__}
        if names & {"ConnectionError", "URLError", "ConnectError", "Timeout", "TimeoutException", "gaierror"}:
            return True
        error = error.__cause__ or error.__context__
    return False
