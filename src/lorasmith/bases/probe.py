"""What a denoiser predicts, told from one pass: at the noisiest step a noise predictor gives its input back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lorasmith.diffusion.parametrisation import Prediction

if TYPE_CHECKING:
    from lorasmith.bases.base import Base

SIDE = 16
BORDER = 0.5
LAST = 0.999
"""The noisiest step of a table of a thousand."""


@torch.no_grad()
def probe_prediction(base: Base) -> Prediction:
    """Feed pure noise at the last step, with the empty prompt, and correlate the output with it.

    There x_t is the noise, so that a noise predictor's output correlates with it by almost 1; a velocity predictor's
    is the negative of its guess at the clean picture, and does not (Salimans & Ho 2022, section 4).
    """
    side = SIDE * base.vae_factor
    noise = torch.randn(1, *base.latent_shape((side, side)), generator=torch.Generator().manual_seed(0))
    x_t = noise.to(base.device, base.dtype)
    out = base.denoise(x_t, torch.tensor([LAST]), base.encode([""]))
    alike = torch.corrcoef(torch.stack([noise.flatten(), out.float().cpu().flatten()]))[0, 1]
    return "epsilon" if float(alike) > BORDER else "v_prediction"
