"""The generator's network: the size of diffusers' UNet2DModel by time and device, and its files."""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DModel
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..checkpoints import disk_errors, require_finite
from ..devices import accelerator
from ..errors import InvalidInput
from ..regular_files import is_file, is_list_of_names, read_json, regular
from ..settings import GeneratorSettings, SamplingSettings, shown
from .pipeline import Pipeline

MAX_DEEPEST_SIDE = 7  # patches a side of the deepest level
NORM_GROUPS = 8  # of group normalisation; they divide every width
MIN_AUTO_WIDTH, MAX_AUTO_WIDTH = 32, 256  # channels of the first level
MAX_WIDTH, MAX_LAYERS, MAX_LEVELS = 1024, 8, 8  # of the settings, and of images of 1024 px
CUDA_CORES, MPS_CORES = 200, 16  # processor cores of about equal speed
SCHEDULER = dict(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0, num_train_timesteps=1000)


class Architecture(NamedTuple):
    """Size of the network."""

    patch_px: int
    widths: tuple[int, ...]  # channels of each level
    layers: int  # blocks a level


def choose_architecture(size_px: int, settings: GeneratorSettings) -> Architecture:
    """The network for images of a size: as set, or by time and device.

    The width is 32 for five minutes on two cores at 28 px, and grows with the fourth root of the compute: half of the
    additional compute goes into the network, whose cost is quadratic in the width, half into more images seen.
    """
    patch = settings.patch_px or (2 if size_px <= 64 else 4)
    side = -(-size_px // patch)
    levels = 1 + max(0, math.ceil(math.log2(side / MAX_DEEPEST_SIDE)))
    minutes = settings.minutes or 60.0
    compute = minutes / 5 * (_cores(settings.device) / 2) * (14 / side) ** 2
    width = settings.width or min(max(MIN_AUTO_WIDTH * compute**0.25, MIN_AUTO_WIDTH), MAX_AUTO_WIDTH)
    width = NORM_GROUPS * -(-int(width) // NORM_GROUPS)
    layers = settings.layers or (1 if width < 96 else 2)
    return Architecture(patch, (width, *[2 * width] * (levels - 1)), layers)


def architecture_settings(size_px: int, settings: GeneratorSettings) -> dict[str, int]:
    """The architecture as settings, which give the same network on any machine."""
    architecture = choose_architecture(size_px, settings)
    return dict(patch_px=architecture.patch_px, width=architecture.widths[0], layers=architecture.layers)


def _cores(device: str) -> float:
    """Processor cores of the speed of the device."""
    if device == "cpu" or (
        device == "auto" and not torch.cuda.is_available() and not torch.backends.mps.is_available()
    ):
        cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
        allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
        return float(min(cores, allowed))  # not the number of threads: a seed gives one network
    return float(CUDA_CORES if torch.cuda.is_available() and device != "mps" else MPS_CORES)


def build(names: list[str], channels: int, size_px: int, settings: GeneratorSettings) -> Pipeline:
    """A pipeline with initial weights by the seed.

    Args:
        names: of the classes [K]
        channels: 1 or 3

    Raises:
        ValueError: no class, or unsupported images
    """
    if not names or channels not in (1, 3) or size_px < 8:
        raise InvalidInput(
            f"a generator draws images of 1 or 3 channels from 8 px on, of one class or more: "
            f"not {len(names)} classes, {channels} channels and {size_px} px"
        )
    torch.manual_seed(settings.seed)
    architecture = choose_architecture(size_px, settings)
    unet = UNet2DModel(**unet_config(architecture, channels, size_px, len(names)))  # type: ignore[no-untyped-call]
    scheduler = DPMSolverMultistepScheduler(**SCHEDULER)  # type: ignore[no-untyped-call]
    defaults = SamplingSettings()
    stored = ("sampling_steps", "guidance", "guidance_from", "guidance_to")
    sampling = {name: getattr(defaults, name) for name in stored}
    return Pipeline(unet, scheduler, list(names), size_px, channels, architecture.patch_px, sampling)


def unet_config(architecture: Architecture, channels: int, size_px: int, classes: int) -> dict[str, Any]:
    """Arguments of diffusers' UNet2DModel."""
    patch, widths, layers = architecture
    deepest = 2 ** (len(widths) - 1)
    return dict(
        sample_size=-(-size_px // (patch * deepest)) * deepest,
        in_channels=channels * patch**2,
        out_channels=channels * patch**2,
        block_out_channels=widths,
        layers_per_block=layers,
        down_block_types=("DownBlock2D",) * len(widths),
        up_block_types=("UpBlock2D",) * len(widths),
        add_attention=False,
        norm_num_groups=NORM_GROUPS,
        resnet_time_scale_shift="scale_shift",
        num_class_embeds=classes + 1,  # the last is the null class
    )


def shape_of(pipeline: Pipeline) -> dict[str, int]:
    """The network's architecture, as settings."""
    config = pipeline.unet.config
    return dict(patch_px=pipeline.config.patch_px, width=config.block_out_channels[0], layers=config.layers_per_block)


@torch.no_grad()
def start_from(pipeline: Pipeline, earlier: Pipeline) -> None:
    """Takes the weights of an earlier generator of the same architecture.

    A class of the same name keeps its embedding; a new one starts as the mean of all.
    """
    weights, name = earlier.unet.state_dict(), "class_embedding.weight"
    known, names = weights[name][:-1], list(earlier.config.names)
    rows = [known[names.index(own)] if own in names else known.mean(dim=0) for own in pipeline.config.names]
    pipeline.unet.load_state_dict({**weights, name: torch.stack([*rows, weights[name][-1]])})


def save(pipeline: Pipeline, folder: Path) -> None:
    """Writes the pipeline as diffusers does: JSON and safetensors.

    Raises:
        OSError: the disk is full, or fails otherwise
    """
    with disk_errors(folder):
        pipeline.save_pretrained(folder, safe_serialization=True)


def export(pipeline: Pipeline, folder: Path) -> None:
    """Writes the pipeline with its code, so that it runs without Evenset.

    `DiffusionPipeline.from_pretrained(folder, custom_pipeline=folder, trust_remote_code=True)` runs its pipeline.py.
    """
    save(pipeline, folder)
    shutil.copyfile(Path(__file__).with_name("pipeline.py"), folder / "pipeline.py")


def load(folder: Path, device: str = "auto") -> Pipeline:
    """Reads a pipeline of `save` or `export`: JSON and safetensors alone, no code of the folder is run.

    Raises:
        ValueError: the folder holds no generator of Evenset, or a damaged one
    """
    try:
        index = read_json(folder / "model_index.json")
        notes = {name: index[name] for name in ("names", "size_px", "channels", "patch_px", "sampling")}
        if index["_class_name"] not in ("Pipeline", ["pipeline", "Pipeline"]):
            raise InvalidInput(f"model_index.json is of {index['_class_name']!r:.80}")
        check_generator(notes)
        unet = _read_unet(folder / "unet", notes)
        config = read_json(folder / "scheduler" / "scheduler_config.json")
        wrong = [name for name, value in SCHEDULER.items() if config.get(name) != value]
        if wrong:
            raise InvalidInput(f"{wrong[0]} of the scheduler must be {SCHEDULER[wrong[0]]}")
        scheduler = DPMSolverMultistepScheduler(**SCHEDULER)  # type: ignore[no-untyped-call]
        pipeline = Pipeline(unet.eval(), scheduler, **notes)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise InvalidInput(
            f"{folder} holds no generator that Evenset wrote: expected model_index.json with names of classes, and "
            f"weights in unet/diffusion_pytorch_model.safetensors ({error})"
        ) from error
    return pipeline.to(accelerator(device).device)


def _read_unet(folder: Path, notes: dict[str, Any]) -> Any:
    """The network; its configuration is checked before it is built.

    Raises:
        ValueError: another network, a larger one than Evenset builds, or weights with NaN or infinity
    """
    config, weights = read_json(folder / "config.json"), regular(folder / "diffusion_pytorch_model.safetensors")
    if not is_file(weights):
        raise InvalidInput("no unet/diffusion_pytorch_model.safetensors")
    widths, layers = config["block_out_channels"], config["layers_per_block"]
    has_levels = isinstance(widths, list) and 0 < len(widths) <= MAX_LEVELS
    numbers = {2 * MAX_WIDTH: widths if has_levels else [None], MAX_LAYERS: [layers]}
    if any(type(value) is not int or not 0 < value <= high for high in numbers for value in numbers[high]):
        raise InvalidInput(f"config.json has {shown(widths)} channels and {shown(layers)} blocks a level")
    architecture = Architecture(notes["patch_px"], tuple(widths), layers)
    expected = unet_config(architecture, notes["channels"], notes["size_px"], len(notes["names"]))
    for name, value in expected.items():
        if config.get(name) != (list(value) if isinstance(value, tuple) else value):
            raise InvalidInput(f"{name} in config.json must be {shown(value)}, not {shown(config.get(name))}")
    state = load_file(weights)
    require_finite(state, weights)
    with torch.device("meta"):  # without memory: the weights are assigned
        unet: Any = UNet2DModel(**expected)  # type: ignore[no-untyped-call]
    unet.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)
    return unet


def check_generator(notes: dict[str, Any]) -> None:
    """Rejects invalid notes of a generator.

    Raises:
        ValueError: one has another type, or is out of range
    """
    allowed = dict(size_px=range(8, 1025), channels=(1, 3), patch_px=range(1, 9))
    for name, values in allowed.items():
        if name in notes and (type(notes[name]) is not int or notes[name] not in values):
            raise InvalidInput(f"{name} is {shown(notes[name])}")
    if not is_list_of_names(notes["names"]):
        raise InvalidInput("no class names")
    if "sampling" in notes:
        SamplingSettings(**notes["sampling"])
