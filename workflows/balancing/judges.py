"""Choice of the judges of new images, and the benefit by all of them, of which the first decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...models.devices import has_gpu
from ...models.errors import InvalidInput
from ..data.internals import root_dataset
from ..data.synthetic import SyntheticImage
from ..embeddings import store
from ..embeddings.encoders import is_in_zoo
from ..runs import shards
from ..runs.run import Run
from ..training.auto_embeddings import SMALL_PX, Candidate, candidates, short_side_px
from ..training.resnet import check_weights
from .benefit import BOTH, ENCODER, RESNET, SMALL_CNN, Benefit, Judge, RealImages, measure
from .config import BalanceConfig
from .encoder_judge import EncoderJudge
from .resnet_judge import ResNetJudge, network_of
from .small_cnn_judge import SmallCNNJudge

LOCAL = "local-dir:"  # begins the name of an encoder of timm in a folder


def measure_by_judges(
    run: Run, real: RealImages, sources: dict[str, list[SyntheticImage]], config: BalanceConfig
) -> Benefit:
    """The benefit by the judge that decides, with those by the others.

    Args:
        sources: synthetic images, by the name of their arm
    """
    paths = real.train_paths.tolist()
    chosen = run.remember("judge", lambda: choose(run.dataset, paths, config))  # weights may come or go until a resume
    settings, measured = config.small_cnn, []
    for name in chosen["judges"]:
        judge: Judge
        if name == ENCODER:
            judge = EncoderJudge(run, real, chosen["encoder"], settings)
        elif name == RESNET:
            judge = ResNetJudge(run, real, settings, config.executor)
        else:
            judge = SmallCNNJudge(run, real, settings, config.executor)
        with shards.connected(None if name == ENCODER else config.executor):
            measured.append(measure(run, judge, real, sources, config.balance.verdict_seeds))
    return replace(measured[0], others=tuple(measured[1:]))


def check_judge(samples: Any, paths: Sequence[str], config: BalanceConfig, resume: str | None = None) -> None:
    """Looks for the encoder or the weights that the measurement of a new run needs, before work starts.

    Raises:
        ValueError: the setting names one, and none can be had
    """
    if not config.measures or not config.balance.judge or resume:
        return
    if config.balance.judge == RESNET:
        check_weights(network_of(config.small_cnn))
    else:
        choose(root_dataset(samples), paths, config)


def choose(dataset: Any, paths: Sequence[str], config: BalanceConfig) -> dict[str, Any]:
    """Judges by the setting, the one that decides first, and the encoder's name, "" without one.

    Without the setting, an encoder judges photos over SMALL_PX if its weights are on this machine; then it decides, as
    most users train a pretrained network on photos.

    Raises:
        ValueError: the setting names an encoder, and none can be had
    """
    wanted = config.balance.judge
    if wanted in (SMALL_CNN, RESNET):
        return dict(judges=[wanted], encoder="")
    if wanted is None:
        side_px = short_side_px(paths)
        name = encoder_at_hand(dataset, paths, config) if side_px and side_px > SMALL_PX else ""
        return dict(judges=[ENCODER, SMALL_CNN] if name else [SMALL_CNN], encoder=name)
    name = encoder_at_hand(dataset, paths, config) or _downloadable(config)
    return dict(judges=[ENCODER, SMALL_CNN] if wanted == BOTH else [ENCODER], encoder=name)


def encoder_at_hand(dataset: Any, paths: Sequence[str], config: BalanceConfig) -> str:
    """The encoder last used on these images, else the best one, whose weights are on this machine; "" without one."""
    stored = store.complete(dataset, paths) if paths else None
    if stored and is_here(stored[0]):
        return stored[0]
    return next((it.name for it in candidates(has_gpu(config.generator.device)) if is_here(it.name)), "")


def is_here(name: str) -> bool:
    """Whether an encoder opens without a download; those of FiftyOne's zoo read samples, and new images are none."""
    if name.startswith(LOCAL):
        return Path(name.removeprefix(LOCAL)).is_dir()
    return not is_in_zoo(name) and Candidate(name, "", 0, 0.0).is_here


def _downloadable(config: BalanceConfig) -> str:
    """The best encoder that can be downloaded.

    Raises:
        ValueError: there is none
    """
    problems = []
    for candidate in candidates(has_gpu(config.generator.device)):
        if not (why := candidate.out_of_reach):
            return candidate.name
        problems.append(f"{candidate.title} cannot be had ({why})")
    raise InvalidInput(
        f"judge={config.balance.judge!r} needs the weights of an encoder, and {', and '.join(problems)}: connect to "
        f"the internet once, or give judge={SMALL_CNN!r}"
    )
