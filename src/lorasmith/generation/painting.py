"""The course of one picture: noise or a picture to start from, one pass or two, and the pixels at the end.

It is a generator that asks Questions and is sent x_0 for each, so that many pictures share the denoiser's passes
while each keeps its own sampler, steps and noise. It is to be run in inference mode.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from lorasmith.bases.base import Base
from lorasmith.diffusion.samplers import Draw, Levels, begin, falling_levels, finish_latents, start
from lorasmith.generation.noise import first_noise
from lorasmith.generation.prepare import PictureTask, Stage
from lorasmith.generation.sampling import Guidance, Question, tiled
from lorasmith.generation.spec import LATENT_UPSCALERS, PIXEL_UPSCALERS, Hires, InitImage, Resize

Course = Generator[Question, Tensor, Image.Image]


def paint(base: Base, levels: Levels, job: PictureTask, guidances: Sequence[Guidance]) -> Course:
    """Draw the job's picture; `guidances` are what it is told in each of its stages."""
    spec = job.spec
    painter = _Painter(base, levels, job)
    if spec.init is None:
        z = yield from painter.draw_new(job.stages[0], guidances[0])
        if spec.hires_size is None or spec.hires is None:
            return painter.develop(z)
        return (yield from painter.draw_larger(z, spec.hires, spec.hires_size, job.stages[1], guidances[1]))
    return (yield from painter.draw_over(spec.init, job.stages[0], guidances[0]))


class _Painter:
    """The parts of a course that several kinds of pictures share."""

    def __init__(self, base: Base, levels: Levels, job: PictureTask) -> None:
        self.base, self.levels, self.job = base, levels, job

    def draw_new(self, stage: Stage, guidance: Guidance) -> Generator[Question, Tensor, Tensor]:
        """Latents from noise."""
        spec = self.job.spec
        size = (spec.width, spec.height)
        noise, draw = self._noise(size)
        sigmas = self._sigmas(stage.total)
        x = start(spec.sampler, noise, sigmas[0])
        return (yield from self._walk(x, sigmas, draw, stage, guidance, size))

    def draw_over(self, init: InitImage, stage: Stage, guidance: Guidance) -> Course:
        """A picture drawn over another one; where the mask is black that one stays to the pixel."""
        spec = self.job.spec
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
        sigmas = self._sigmas(stage.total)[stage.skipped :]
        z = yield from self._walk(z_0 + sigmas[0] * noise, sigmas, draw, stage, guidance, size, z_0, share)
        drawn = self.develop(z)
        return drawn if mask is None else Image.composite(drawn, given, mask)

    def draw_larger(self, z: Tensor, hires: Hires, size: tuple[int, int], stage: Stage, guidance: Guidance) -> Course:
        """The second pass, over the first one's latents made larger; it takes all of its steps."""
        factor = self.base.vae_factor
        if hires.upscaler in LATENT_UPSCALERS:
            mode, antialias = LATENT_UPSCALERS[hires.upscaler]
            z_0 = _cover_latents(z, (size[0] // factor, size[1] // factor), mode, antialias)
        else:
            larger = fit_image(self.develop(z), size, "crop", Image.Resampling[PIXEL_UPSCALERS[hires.upscaler]])
            if stage.skipped == stage.total:
                return larger
            z_0 = self._encode(larger)
        if stage.skipped == stage.total:
            return self.develop(z_0)
        noise, draw = self._noise(size)
        steps = stage.total
        sigmas = self._sigmas(int(steps / min(hires.denoising, 0.999)))[-1 - steps :]
        z = yield from self._walk(z_0 + sigmas[0] * noise, sigmas, draw, stage, guidance, size)
        return self.develop(z)

    def develop(self, z: Tensor) -> Image.Image:
        """Latents to a picture."""
        with tiled(self.base.vae, self.job.spec.tiling):
            pixels = self.base.decode_latents(z.to(self.base.dtype)).float()
        return to_image(pixels)

    def _encode(self, image: Image.Image) -> Tensor:
        raw = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, *image.size[::-1], 3)
        pixels = raw.permute(0, 3, 1, 2).float() / 127.5 - 1
        with tiled(self.base.vae, self.job.spec.tiling):
            return self.base.encode_images(pixels).float()

    def _noise(self, size: tuple[int, int]) -> tuple[Tensor, Draw]:
        """The first noise of a pass, and where more of it comes from."""
        factor, device = self.base.vae_factor, self.base.device
        shape = (self.base.latent_channels, size[1] // factor, size[0] // factor)
        noise, more = first_noise(shape, self.job.spec.seed, self.job.spec.variation)
        return noise.to(device), lambda: torch.randn((1, *shape), generator=more).to(device)

    def _sigmas(self, steps: int) -> list[float]:
        spec = self.job.spec
        return falling_levels(spec.schedule, spec.sampler, self.levels, steps)

    def _walk(
        self,
        x: Tensor,
        sigmas: Sequence[float],
        draw: Draw,
        stage: Stage,
        guidance: Guidance,
        size: tuple[int, int],
        z_0: Tensor | None = None,
        share: Tensor | None = None,
    ) -> Generator[Question, Tensor, Tensor]:
        """From latents at `sigmas[0]` to clean ones; with `share` only that share of them is drawn, the rest is
        `z_0`."""
        spec = self.job.spec
        course = begin(spec.sampler, x, sigmas, draw, spec.eta)
        look = next(course)
        while True:
            x_0 = yield Question(look, guidance, stage.skipped + look.step + 1, size, spec.tiling)
            if share is not None and z_0 is not None:
                x_0 = share * x_0 + (1 - share) * z_0
            try:
                look = course.send(x_0)
            except StopIteration as end:
                z: Tensor = end.value
                return finish_latents(z, sigmas[-1])


def to_image(pixels_1CHW: Tensor) -> Image.Image:
    """Pixels in [-1, 1] to a picture."""
    whole = pixels_1CHW[0].add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(whole.permute(1, 2, 0).cpu().contiguous().numpy())


def fit_image(
    image: Image.Image,
    size: tuple[int, int],
    resize: Resize,
    resample: Image.Resampling = Image.Resampling.LANCZOS,
) -> Image.Image:
    """The image at `size`: "stretch" changes its shape, "crop" cuts the middle out, "fill" repeats its edges."""
    if image.size == size:
        return image
    across, down = size[0] / image.width, size[1] / image.height
    if resize == "stretch" or across == down:
        return image.resize(size, resample)
    scale = max(across, down) if resize == "crop" else min(across, down)
    scaled = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), resample)
    left, top = (size[0] - scaled.width) // 2, (size[1] - scaled.height) // 2
    if resize == "crop":
        return scaled.crop((-left, -top, size[0] - left, size[1] - top))
    canvas = Image.new(image.mode, size)
    for edge, at, room in (
        ((0, 0, 1, scaled.height), (0, top), (left, scaled.height)),
        ((scaled.width - 1, 0, scaled.width, scaled.height), (left + scaled.width, top), (size[0], scaled.height)),
        ((0, 0, scaled.width, 1), (left, 0), (scaled.width, top)),
        ((0, scaled.height - 1, scaled.width, scaled.height), (left, top + scaled.height), (scaled.width, size[1])),
    ):
        if room[0] and room[1]:
            canvas.paste(scaled.crop(edge).resize(room, Image.Resampling.NEAREST), at)
    canvas.paste(scaled, (left, top))
    return canvas


def _cover_latents(z: Tensor, size: tuple[int, int], mode: str, antialias: bool) -> Tensor:
    """Latents made larger until they cover `size` (width, height), and cut to it."""
    height, width = z.shape[-2:]
    scale = max(size[0] / width, size[1] / height)
    to = (max(size[1], round(height * scale)), max(size[0], round(width * scale)))
    larger = F.interpolate(z, size=to, mode=mode, **({"antialias": True} if antialias else {}))
    top, left = (to[0] - size[1]) // 2, (to[1] - size[0]) // 2
    return larger[..., top : top + size[1], left : left + size[0]]
