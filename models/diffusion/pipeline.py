"""Class-conditional diffusers pipeline in pixel space, with classifier-free guidance (Ho & Salimans, 2022).

It imports torch and diffusers alone: `network.export` copies this file beside the weights, for use without Evenset.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DModel
from diffusers.pipelines.pipeline_utils import DiffusionPipeline, ImagePipelineOutput
from torch import Tensor
from torch.nn import functional as F

TIME_SCALE = 1000  # of the network's time input: pure noise is 1000


class Guidance(NamedTuple):
    """Classifier-free guidance, within an interval of the path."""

    scale: float  # 1 is off
    start: float = 0.0  # fractions of the path, 0 (noise) .. 1 (image)
    end: float = 1.0


class Pipeline(DiffusionPipeline):
    """Flow matching (Lipman et al., 2023): at time t an image x is (1 - t) x + t noise; the network predicts noise - x.

    Args:
        unet: of K + 1 classes; the last is the null class of guidance
        names: of the classes [K]
        patch_px: side of a patch of pixels, which are the channels of one input position
        sampling: defaults of a call: sampling_steps, guidance, guidance_from, guidance_to
    """

    config: Any
    unet: Any
    scheduler: Any
    faster_precision: str | None = None  # once it was timed

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
        """Draws an image for each label, with the arguments of diffusers' pipelines.

        Args:
            class_labels: indices or names of classes [B]
            num_inference_steps: steps of the solver
            guidance_scale: classifier-free guidance scale; 1 is off
            guidance_interval: fractions of the path, 0 (noise) .. 1 (image), between which guidance is on
            output_type: "pil", "np" (float, 0..1 [B, S, S, C]) or "pt" (the same, [B, C, S, S])

        Raises:
            ValueError: unknown class or output type
        """
        if output_type not in ("pil", "np", "pt"):
            raise ValueError(f"output_type has to be 'pil', 'np' or 'pt', not {output_type!r}")
        defaults, config = self.config.sampling, self.config
        labels = self.class_indices(class_labels)
        shape = (len(labels), config.channels, config.size_px, config.size_px)
        noise_device = generator.device if generator is not None else self.device
        noise = torch.randn(shape, generator=generator, device=noise_device).to(self.device)
        steps = defaults["sampling_steps"] if num_inference_steps is None else num_inference_steps
        scale = defaults["guidance"] if guidance_scale is None else guidance_scale
        interval = guidance_interval or (defaults["guidance_from"], defaults["guidance_to"])
        images = self.draw(noise, labels, steps, Guidance(scale, *interval))
        output: Any = images / 2 + 0.5
        if output_type != "pt":
            output = output.permute(0, 2, 3, 1).cpu().numpy()
        if output_type == "pil":
            output = self.numpy_to_pil(output)  # type: ignore[no-untyped-call]
        return ImagePipelineOutput(images=output) if return_dict else (output,)

    def class_indices(self, classes: int | str | list[int] | list[str]) -> Tensor:
        """Indices of classes, on the network's device [B], from indices or names.

        Raises:
            ValueError: unknown class
        """
        names = self.config.names
        listed: list[Any] = [classes] if isinstance(classes, (int, str)) else list(classes)
        indices = [names.index(item) if isinstance(item, str) and item in names else item for item in listed]
        for index in indices:
            if isinstance(index, str) or not 0 <= index < len(names):
                raise ValueError(f"no class {index!r}: there are {', '.join(names)}, numbered from 0")
        return torch.tensor(indices, dtype=torch.long, device=self.device)

    def draw(
        self,
        noise: Tensor,
        labels: Tensor,
        steps: int,
        guidance: Guidance,
        start: Tensor | None = None,
        strength: float = 1.0,
    ) -> Tensor:
        """Solves from noise to images, -1..1 [B, C, S, S]; the same noise gives the same images.

        Guidance takes a second pass of the network, within its interval alone (Kynkaanniemi et al., 2024).

        Args:
            noise: standard normal [B, C, S, S]
            labels: indices of classes [B]
            start, strength: images, -1..1 [B, C, S, S], noised to the time `strength`, 0..1, and denoised as images of
                `labels` (SDEdit, Meng et al., 2022)
        """
        solver = DPMSolverMultistepScheduler.from_config(self.scheduler.config)  # type: ignore[no-untyped-call]
        solver.set_timesteps(steps, device=noise.device)
        times = solver.sigmas[:-1].tolist()
        first, images = 0, noise
        if start is not None:
            first = next((step for step, time in enumerate(times) if time <= strength), len(times))
            if first == len(times):
                return start.clamp(-1, 1)
            images = (1 - times[first]) * start + times[first] * noise
        solver.set_begin_index(first)

        null_class = torch.full_like(labels, self.unet.config.num_class_embeds - 1)
        for step in range(first, len(times)):
            t = noise.new_full((len(labels),), times[step])
            if guidance.scale > 1 and guidance.start <= 1 - times[step] <= guidance.end:
                both = (torch.cat(pair) for pair in ((images, images), (t, t), (labels, null_class)))
                conditional, unconditional = velocity(self.unet, self.config.patch_px, *both).chunk(2)
                predicted = unconditional + guidance.scale * (conditional - unconditional)
            else:
                predicted = velocity(self.unet, self.config.patch_px, images, t, labels)
            images = solver.step(predicted, solver.timesteps[step], images).prev_sample
        return images.clamp(-1, 1)


def velocity(unet: torch.nn.Module, patch_px: int, images: Tensor, times: Tensor, labels: Tensor) -> Tensor:
    """The network's prediction, noise minus image, float32 [B, C, S, S].

    A side that the network's stride does not divide is padded.

    Args:
        images: noisy images [B, C, S, S]
        times: 0 (image) .. 1 (noise) [B]
        labels: indices of classes, K for the null class [B]
    """
    side = images.shape[-1]
    padding = -side % (patch_px * stride(unet))
    before = padding // 2
    padded = F.pad(images, (before, padding - before) * 2) if padding else images
    patches = F.pixel_unshuffle(padded, patch_px)  # [B, C patch^2, S / patch, S / patch]
    predicted = F.pixel_shuffle(unet(patches, times * TIME_SCALE, labels, return_dict=False)[0], patch_px)
    return predicted[..., before : before + side, before : before + side].float()


def stride(unet: Any) -> int:
    """Ratio of the sides of the network's input and its deepest level."""
    inner = getattr(unet, "module", unet)  # distributed training wraps it
    return int(2 ** (len(inner.config.block_out_channels) - 1))
