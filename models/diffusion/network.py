"""A generator before and after its training: diffusers' UNet, as large as time and device allow, and its files."""

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

DEEPEST = 7  # places a side at which a network is halved no more
GROUPS = 8  # channels are normalised in so many groups, which have to divide every width
LIGHTEST, HEAVIEST = 32, 256  # widths of the first level that are chosen without being asked for
MAX_WIDTH, MAX_LAYERS, MAX_LEVELS = 1024, 8, 8  # of the settings, and of images of 1024 px
CUDA_CORES, MPS_CORES = 200, 16  # cores of a processor that they are worth, roughly
SOLVER = dict(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0, num_train_timesteps=1000)


class Shape(NamedTuple):
    """What a network is made of."""

    patch_px: int
    widths: tuple[int, ...]  # channels of each level
    layers: int  # blocks a level


def shape(size_px: int, settings: GeneratorSettings) -> Shape:
    """The network for images of a size, of what is set, and else of what time and device allow.

    A width of 32 is right for five minutes on two cores at 28 px. Computing so much more or less is worth its fourth
    root: half of it goes into the network, whose cost is the square of its width, half into more images seen.
    """
    patch = settings.patch_px or (2 if size_px <= 64 else 4)
    places = -(-size_px // patch)
    levels = 1 + max(0, math.ceil(math.log2(places / DEEPEST)))
    minutes = settings.minutes or 60.0
    computing = minutes / 5 * (_cores(settings.device) / 2) * (14 / places) ** 2
    width = settings.width or min(max(LIGHTEST * computing**0.25, LIGHTEST), HEAVIEST)
    width = GROUPS * -(-int(width) // GROUPS)
    layers = settings.layers or (1 if width < 96 else 2)
    return Shape(patch, (width, *[2 * width] * (levels - 1)), layers)


def chosen(size_px: int, settings: GeneratorSettings) -> dict[str, int]:
    """The shape as settings, with which `shape` gives it on any machine."""
    found = shape(size_px, settings)
    return dict(patch_px=found.patch_px, width=found.widths[0], layers=found.layers)


def _cores(device: str) -> float:
    """Cores of a processor, as many as the device is worth."""
    if device == "cpu" or (
        device == "auto" and not torch.cuda.is_available() and not torch.backends.mps.is_available()
    ):
        cores = psutil.cpu_count(logical=False) or os.cpu_count() or 1
        allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
        return float(min(cores, allowed))  # however many of them its threads take: a seed gives one network
    return float(CUDA_CORES if torch.cuda.is_available() and device != "mps" else MPS_CORES)


def build(names: list[str], channels: int, size_px: int, settings: GeneratorSettings) -> Pipeline:
    """A pipeline with first weights that the seed fixes.

    Args:
        names: of the classes [K]
        channels: 1 or 3

    Raises:
        ValueError: no class, or images that cannot be drawn
    """
    if not names or channels not in (1, 3) or size_px < 8:
        raise InvalidInput(
            f"a generator draws images of 1 or 3 channels from 8 px on, of one class or more: "
            f"not {len(names)} classes, {channels} channels and {size_px} px"
        )
    torch.manual_seed(settings.seed)
    made = shape(size_px, settings)
    unet = UNet2DModel(**structure(made, channels, size_px, len(names)))  # type: ignore[no-untyped-call]
    solver = DPMSolverMultistepScheduler(**SOLVER)  # type: ignore[no-untyped-call]
    usual = SamplingSettings()
    sampling = {name: getattr(usual, name) for name in ("sampling_steps", "guidance", "guidance_from", "guidance_to")}
    return Pipeline(unet, solver, list(names), size_px, channels, made.patch_px, sampling)


def structure(shape: Shape, channels: int, size_px: int, classes: int) -> dict[str, Any]:
    """The network as diffusers' UNet2DModel takes it."""
    patch, widths, layers = shape
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
        norm_num_groups=GROUPS,
        resnet_time_scale_shift="scale_shift",
        num_class_embeds=classes + 1,  # the last is any class
    )


def save(pipeline: Pipeline, folder: Path) -> None:
    """Writes the pipeline as diffusers does: JSON and safetensors.

    Raises:
        OSError: the disk is full, or another trouble with it
    """
    with disk_errors(folder):
        pipeline.save_pretrained(folder, safe_serialization=True)


def export(pipeline: Pipeline, folder: Path) -> None:
    """Writes the pipeline so that it can be used without Evenset; what it adds to `save` is a file of code.

    `DiffusionPipeline.from_pretrained(folder, custom_pipeline=folder, trust_remote_code=True)` runs that pipeline.py.
    """
    save(pipeline, folder)
    shutil.copyfile(Path(__file__).with_name("pipeline.py"), folder / "pipeline.py")


def load(folder: Path, device: str = "auto") -> Pipeline:
    """Reads what `save` or `export` wrote. It reads JSON and safetensors alone, and runs no code of the folder.

    Raises:
        ValueError: the folder holds no generator of Evenset's, or a damaged one
    """
    try:
        index = read_json(folder / "model_index.json")
        notes = {name: index[name] for name in ("names", "size_px", "channels", "patch_px", "sampling")}
        if index["_class_name"] not in ("Pipeline", ["pipeline", "Pipeline"]):
            raise InvalidInput(f"model_index.json is of {index['_class_name']!r:.80}")
        check_generator(notes)
        unet = _read_unet(folder / "unet", notes)
        solver = read_json(folder / "scheduler" / "scheduler_config.json")
        wrong = [name for name, value in SOLVER.items() if solver.get(name) != value]
        if wrong:
            raise InvalidInput(f"{wrong[0]} of the scheduler has to be {SOLVER[wrong[0]]}")
        scheduler = DPMSolverMultistepScheduler(**SOLVER)  # type: ignore[no-untyped-call]
        pipeline = Pipeline(unet.eval(), scheduler, **notes)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise InvalidInput(
            f"{folder} holds no generator that Evenset wrote: expected model_index.json with names of classes, and "
            f"weights in unet/diffusion_pytorch_model.safetensors ({error})"
        ) from error
    return pipeline.to(accelerator(device).device)


def _read_unet(folder: Path, notes: dict[str, Any]) -> Any:
    """The network, built only once its configuration is one of Evenset's, and of the shape of the weights.

    Raises:
        ValueError: it is another network, larger than Evenset makes any, or its weights hold NaN or infinity
    """
    config, weights = read_json(folder / "config.json"), regular(folder / "diffusion_pytorch_model.safetensors")
    if not is_file(weights):
        raise InvalidInput("no unet/diffusion_pytorch_model.safetensors")
    widths, layers = config["block_out_channels"], config["layers_per_block"]
    is_deep = isinstance(widths, list) and 0 < len(widths) <= MAX_LEVELS
    numbers = {2 * MAX_WIDTH: widths if is_deep else [None], MAX_LAYERS: [layers]}
    if any(type(value) is not int or not 0 < value <= high for high in numbers for value in numbers[high]):
        raise InvalidInput(f"config.json has {shown(widths)} channels and {shown(layers)} blocks a level")
    own_shape = Shape(notes["patch_px"], tuple(widths), layers)
    own = structure(own_shape, notes["channels"], notes["size_px"], len(notes["names"]))
    for name, value in own.items():
        if config.get(name) != (list(value) if isinstance(value, tuple) else value):
            raise InvalidInput(f"{name} in config.json has to be {shown(value)}, not {shown(config.get(name))}")
    state = load_file(weights)
    require_finite(state, weights)
    with torch.device("meta"):  # shapes alone
        unet: Any = UNet2DModel(**own)  # type: ignore[no-untyped-call]
    unet.load_state_dict({name: value.float() for name, value in state.items()}, assign=True)
    return unet


def check_generator(notes: dict[str, Any]) -> None:
    """Refuses notes of a generator that none can have.

    Raises:
        ValueError: one is of another type or out of range
    """
    allowed = dict(size_px=range(8, 1025), channels=(1, 3), patch_px=range(1, 9))
    for name, values in allowed.items():
        if name in notes and (type(notes[name]) is not int or notes[name] not in values):
            raise InvalidInput(f"{name} is {shown(notes[name])}")
    if not is_list_of_names(notes["names"]):
        raise InvalidInput("no class names")
    if "sampling" in notes:
        SamplingSettings(**notes["sampling"])
