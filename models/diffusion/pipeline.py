"""A diffusers pipeline that draws labelled images pixel by pixel, with guidance by the label (Ho & Salimans, 2022).

It needs torch and diffusers alone: `diffusion.export` lays this file beside the weights, to be used without Evenset.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DModel
from diffusers.pipelines.pipeline_utils import DiffusionPipeline, ImagePipelineOutput
from torch import Tensor
from torch.nn import functional as F

from ..errors import InvalidInput

TIMES = 1000  # what the network is told for pure noise


class Pipeline(DiffusionPipeline):
    """A network that knows which way from noise to images of a class, and a solver that goes it.

    The network has K + 1 classes: the last is "any", which guidance leads away from. The path is straight (flow
    matching, Lipman et al., 2023): at time t an image x is (1 - t) x + t noise, and the network says noise - x.

    Args:
        names: of the classes [K]
        patch_px: a square of so many pixels a side is one place of the network, with as many more channels
        sampling: what a call does if it is not told: sampling_steps, guidance, guidance_from, guidance_to
    """

    config: Any
    unet: Any
    scheduler: Any
    faster: str | None = None  # precision, once it was measured

    def __init__(
        self,
        unet: UNet2DModel,
        scheduler: DPMSolverMultistepScheduler,
        names: list[str] | None = None,
        size_px: int = 0,
        channels: int = 0,
        patch_px: int = 1,
        sampling: dict[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)  # type: ignore[no-untyped-call]
        self.register_to_config(names=names, size_px=size_px, channels=channels, patch_px=patch_px, sampling=sampling)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def __call__(
        self,
        class_labels: int | str | list[int] | list[str],
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        guidance_interval: tuple[float, float] | None = None,
        generator: torch.Generator | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> Any:
        """Draws an image for each label, as diffusers' pipelines do.

        Args:
            class_labels: numbers or names of classes [B]
            num_inference_steps: steps of the solver
            guidance_scale: how much the label is stressed; 1: not
            guidance_interval: parts of the way from noise between which it is
            output_type: "pil", "np" (float, 0..1 [B, S, S, C]) or "pt" (the same, [B, C, S, S])

        Raises:
            ValueError: there is no such class, or no such type of output
        """
        if output_type not in ("pil", "np", "pt"):
            raise InvalidInput(f"output_type has to be 'pil', 'np' or 'pt', not {output_type!r}")
        usual, config = self.config.sampling, self.config
        labels = self.class_numbers(class_labels)
        shape = (len(labels), config.channels, config.size_px, config.size_px)
        drawn_on = generator.device if generator is not None else self.device
        noise = torch.randn(shape, generator=generator, device=drawn_on).to(self.device)
        low, high = guidance_interval or (usual["guidance_from"], usual["guidance_to"])
        images = self.draw(
            noise,
            labels,
            usual["sampling_steps"] if num_inference_steps is None else num_inference_steps,
            usual["guidance"] if guidance_scale is None else guidance_scale,
            (low, high),
        )
        output: Any = images / 2 + 0.5
        if output_type != "pt":
            output = output.permute(0, 2, 3, 1).cpu().numpy()
        if output_type == "pil":
            output = self.numpy_to_pil(output)  # type: ignore[no-untyped-call]
        return ImagePipelineOutput(images=output) if return_dict else (output,)

    def class_numbers(self, classes: int | str | list[int] | list[str]) -> Tensor:
        """Numbers of classes, on the network's device [B], from numbers or names.

        Raises:
            ValueError: there is no such class
        """
        names = self.config.names
        given: list[Any] = [classes] if isinstance(classes, (int, str)) else list(classes)
        numbers = [names.index(one) if isinstance(one, str) and one in names else one for one in given]
        for number in numbers:
            if isinstance(number, str) or not 0 <= number < len(names):
                raise InvalidInput(f"no class {number!r}: there are {', '.join(names)}, numbered from 0")
        return torch.tensor(numbers, dtype=torch.long, device=self.device)

    def draw(
        self,
        noise: Tensor,
        labels: Tensor,
        steps: int,
        guidance: float,
        interval: tuple[float, float],
        start: Tensor | None = None,
        strength: float = 1.0,
    ) -> Tensor:
        """Follows the path from noise to images, -1..1 [B, C, S, S]; the same noise gives the same images.

        Guidance takes a second pass of the network, so that it costs nothing outside its interval, where it would do
        little good (Kynkaanniemi et al., 2024).

        Args:
            noise: standard normal [B, C, S, S]
            labels: numbers of classes [B]
            interval: parts of the way from noise, 0..1, between which guidance works
            start, strength: images, -1..1 [B, C, S, S], that are noised so far, 0..1, and drawn from there as images
                of `labels` (SDEdit, Meng et al., 2022)
        """
        solver = DPMSolverMultistepScheduler.from_config(self.scheduler.config)  # type: ignore[no-untyped-call]
        solver.set_timesteps(steps, device=noise.device)
        times = solver.sigmas[:-1].tolist()
        first, images = 0, noise
        if start is not None:
            first = next((place for place, time in enumerate(times) if time <= strength), len(times))
            if first == len(times):
                return start.clamp(-1, 1)
            images = (1 - times[first]) * start + times[first] * noise
        solver.set_begin_index(first)

        anything = torch.full_like(labels, self.unet.config.num_class_embeds - 1)
        for place in range(first, len(times)):
            at = noise.new_full((len(labels),), times[place])
            if guidance > 1 and interval[0] <= 1 - times[place] <= interval[1]:
                twice = (torch.cat(pair) for pair in ((images, images), (at, at), (labels, anything)))
                label, none = velocity(self.unet, self.config.patch_px, *twice).chunk(2)
                way = none + guidance * (label - none)
            else:
                way = velocity(self.unet, self.config.patch_px, images, at, labels)
            images = solver.step(way, solver.timesteps[place], images).prev_sample
        return images.clamp(-1, 1)


def velocity(unet: torch.nn.Module, patch_px: int, images: Tensor, times: Tensor, labels: Tensor) -> Tensor:
    """What the network says of noisy images: noise minus image, float32 [B, C, S, S].

    A side that the network's strides do not divide is padded, and cut back.

    Args:
        images: noisy images [B, C, S, S]
        times: 0 (image) .. 1 (noise) [B]
        labels: numbers of classes, the last for any [B]
    """
    side = images.shape[-1]
    missing = -side % (patch_px * stride(unet))
    before = missing // 2
    padded = F.pad(images, (before, missing - before) * 2) if missing else images
    folded = F.pixel_unshuffle(padded, patch_px)  # [B, C patch^2, S / patch, S / patch]
    answer = unet(folded, times * TIMES, labels, return_dict=False)[0]
    unfolded = F.pixel_shuffle(answer, patch_px)
    return unfolded[..., before : before + side, before : before + side].float()


def stride(unet: Any) -> int:
    """Pixels of the network's input that are one of its deepest level."""
    inner = getattr(unet, "module", unet)  # as distributed training wraps it
    return int(2 ** (len(inner.config.block_out_channels) - 1))
