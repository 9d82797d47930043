"""One picture from start to end: noise or a picture to start from, one pass or two, and the pixels at the end.

It is a generator of DenoiseCalls that is sent x_0 for each, so that many pictures share the denoiser's passes
while each keeps its own sampler, steps and noise. It is to be run in inference mode.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from lorasmith.bases.base import Base
from lorasmith.diffusion.samplers import SAMPLERS, begin, start
from lorasmith.diffusion.sigmas import get_sigmas
from lorasmith.diffusion.solvers.walk import Run
from lorasmith.generation.denoise_calls import DenoiseCall, Guidance, tiled
from lorasmith.generation.fitting import fit_image
from lorasmith.generation.noise import first_noise
from lorasmith.generation.overflow import check_numbers
from lorasmith.generation.pixels import cover_latents, to_image
from lorasmith.generation.prepare import PictureTask, Stage
from lorasmith.generation.spec import LATENT_UPSCALERS, PIXEL_UPSCALERS, Hires, InitImage

Denoising = Generator[DenoiseCall, Tensor, Image.Image]


def denoise(base: Base, task: PictureTask, guidances: Sequence[Guidance]) -> Denoising:
    """Draw the task's picture; `guidances` are what it is told in each of its stages."""
    spec = task.spec
    passes = _Passes(base, task)
    if spec.init is None:
        z = yield from passes.draw_new(task.stages[0], guidances[0])
        if spec.hires_size is None or spec.hires is None:
            return passes.develop(z)
        return (yield from passes.draw_larger(z, spec.hires, spec.hires_size, task.stages[1], guidances[1]))
    return (yield from passes.draw_over(spec.init, task.stages[0], guidances[0]))


class _Passes:
    """The passes of one picture, and what they share."""

    def __init__(self, base: Base, task: PictureTask) -> None:
        self.base, self.task = base, task

    def draw_new(self, stage: Stage, guidance: Guidance) -> Generator[DenoiseCall, Tensor, Tensor]:
        """Latents from noise."""
        spec = self.task.spec
        size = (spec.width, spec.height)
        noise, draw = self._noise(size)
        sigmas = self._sigmas(stage.total, size)
        x = start(spec.sampler, noise, sigmas[0], self.base.parametrisation.spread(sigmas[0]))
        return (yield from self._walk(x, sigmas, draw, stage, guidance, size))

    def draw_over(self, init: InitImage, stage: Stage, guidance: Guidance) -> Denoising:
        """A picture drawn over another one; where the mask is black that one stays to the pixel."""
        spec = self.task.spec
        size = (spec.width, spec.height)
        given = fit_image(init.image.convert("RGB"), size, init.resize)
        mask = None if init.mask is None else fit_image(init.mask.convert("L"), size, init.resize)
        if stage.skipped == stage.total:
            return given
        z_0 = self._encode(given)
        share = None
        if mask is not None:
            grey = torch.frombuffer(bytearray(mask.tobytes()), dtype=torch.uint8).view(1, 1, *mask.size[::-1])
            share = F.interpolate(grey.float() / 255, size=z_0.shape[-2:], mode="area").to(z_0.device)
        noise, draw = self._noise(size)
        sigmas = self._sigmas(stage.total, size)[stage.skipped :]
        z = yield from self._walk(z_0 + sigmas[0] * noise, sigmas, draw, stage, guidance, size, z_0, share)
        drawn = self.develop(z)
        return drawn if mask is None else Image.composite(drawn, given, mask)

    def draw_larger(
        self, z: Tensor, hires: Hires, size: tuple[int, int], stage: Stage, guidance: Guidance
    ) -> Denoising:
        """The second pass, over the first one's latents made larger; it takes all of its steps."""
        if hires.upscaler in LATENT_UPSCALERS:
            mode, antialias = LATENT_UPSCALERS[hires.upscaler]
            z_0 = cover_latents(z, self.base.latent_shape(size)[-2:], mode, antialias)
        else:
            larger = fit_image(self.develop(z), size, "crop", Image.Resampling[PIXEL_UPSCALERS[hires.upscaler]])
            if stage.skipped == stage.total:
                return larger
            z_0 = self._encode(larger)
        if stage.skipped == stage.total:
            return self.develop(z_0)
        noise, draw = self._noise(size)
        steps = stage.total
        sigmas = self._sigmas(int(steps / min(hires.denoising, 0.999)), size)[-1 - steps :]
        z = yield from self._walk(z_0 + sigmas[0] * noise, sigmas, draw, stage, guidance, size)
        return self.develop(z)

    def develop(self, z: Tensor) -> Image.Image:
        """Latents to a picture."""
        with tiled(self.base.vae, self.task.spec.tiling):
            pixels = self.base.decode_latents(z.to(self.base.dtype)).float()
        check_numbers(pixels, self.task, self.base, "when it was decoded")
        return to_image(pixels)

    def _encode(self, image: Image.Image) -> Tensor:
        raw = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, *image.size[::-1], 3)
        pixels = raw.permute(0, 3, 1, 2).float() / 127.5 - 1
        with tiled(self.base.vae, self.task.spec.tiling):
            return self.base.encode_images(pixels).float()

    def _noise(self, size: tuple[int, int]) -> tuple[Tensor, Callable[[], Tensor]]:
        """The first noise of a pass, and where more of it comes from."""
        device, shape = self.base.device, self.base.latent_shape(size)
        noise, more = first_noise(shape, self.task.spec.seed, self.task.spec.variation)
        return noise.to(device), lambda: torch.randn((1, *shape), generator=more).to(device)

    def _sigmas(self, steps: int, size: tuple[int, int]) -> list[float]:
        spec, table = self.task.spec, self.base.parametrisation.sigma_table(size, steps)
        return get_sigmas(spec.schedule, spec.sampler, table, steps)

    def _walk(
        self,
        x: Tensor,
        sigmas: Sequence[float],
        draw: Callable[[], Tensor],
        stage: Stage,
        guidance: Guidance,
        size: tuple[int, int],
        z_0: Tensor | None = None,
        share: Tensor | None = None,
    ) -> Generator[DenoiseCall, Tensor, Tensor]:
        """From latents at `sigmas[0]` to clean ones; with `share` only that share of them is drawn, the rest is
        `z_0`."""
        spec = self.task.spec
        eta = SAMPLERS[spec.sampler].eta if spec.eta is None else spec.eta
        is_flow = self.base.parametrisation.sigma_table(size).flow
        walk = begin(spec.sampler, x, Run(sigmas, draw, eta, is_flow))
        noisy = next(walk)
        while True:
            x_0 = yield DenoiseCall(noisy, guidance, stage.skipped + noisy.step + 1, size, spec.tiling)
            if noisy.step == 0:  # the rest would be drawn in vain; each step to look at is one to wait for
                check_numbers(x_0, self.task, self.base, "in its first step")
            if share is not None and z_0 is not None:
                x_0 = share * x_0 + (1 - share) * z_0
            try:
                noisy = walk.send(x_0)
            except StopIteration as end:
                z: Tensor = end.value
                check_numbers(z, self.task, self.base, "on the way")
                return z / self.base.parametrisation.spread(sigmas[-1])
