"""A base of a dozen layers, one of every kind that a family has, for tests that run over every algorithm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lorasmith.bases.base import Base
from lorasmith.bases.families import find_family
from lorasmith.bases.targets import Group, Kind, TargetLayer
from lorasmith.diffusion.parametrisation import Discrete

ROWS = 4
_PATHS: dict[str, tuple[Kind, Group]] = {
    "resnet.conv1": ("conv3", "conv"),
    "resnet.time_emb_proj": ("linear", "time"),
    "resnet.conv2": ("conv3", "conv"),
    "resnet.conv_shortcut": ("conv1", "conv"),
    "downsampler.conv": ("conv3", "conv"),
    "attention.proj_in": ("conv1", "attention"),
    "attention.attn1.to_q": ("linear", "attention"),
    "attention.attn2.to_k": ("linear", "attention"),
    "attention.ff.net.0.proj": ("linear", "mlp"),
    "attention.ff.net.2": ("linear", "mlp"),
}


class _Part(nn.Module):
    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name)


class ToyDenoiser(nn.Module):
    """x (B, 8, 8, 8) to (B, 4, 24): a residual block, a stride, an attention's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.resnet = _Part(
            norm1=nn.GroupNorm(2, 8),
            conv1=nn.Conv2d(8, 12, 3, padding=1),
            time_emb_proj=nn.Linear(10, 12),
            norm2=nn.GroupNorm(3, 12),
            conv2=nn.Conv2d(12, 12, 3, padding=1),
            conv_shortcut=nn.Conv2d(8, 12, 1),
        )
        self.downsampler = _Part(conv=nn.Conv2d(12, 12, 3, stride=2, padding=1))
        self.attention = _Part(
            norm=nn.GroupNorm(3, 12),
            proj_in=nn.Conv2d(12, 16, 1),
            norm1=nn.LayerNorm(16),
            attn1=_Part(to_q=nn.Linear(16, 16, bias=False)),
            norm3=nn.LayerNorm(16),
            ff=_Part(net=nn.ModuleList([_Part(proj=nn.Linear(16, 32)), nn.Identity(), nn.Linear(32, 16)])),
            norm2=nn.LayerNorm(16),
            attn2=_Part(to_k=nn.Linear(16, 24, bias=False)),
        )
        self.conv_norm_out = nn.LayerNorm(24)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        r, a = self.resnet, self.attention
        h = r.conv1(r.norm1(x)) + r.time_emb_proj(t)[:, :, None, None]
        h = self.downsampler.conv(r.conv2(r.norm2(h).relu()) + r.conv_shortcut(x))
        h = a.proj_in(a.norm(h)).flatten(2).transpose(1, 2)
        h = h + a.attn1.to_q(a.norm1(h))
        h = h + a.ff.net[2](a.ff.net[0].proj(a.norm3(h)).relu())
        return self.conv_norm_out(a.attn2.to_k(a.norm2(h)))  # type: ignore[no-any-return]


def toy_base() -> Base:
    """The same weights every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        denoiser = ToyDenoiser()
        for module in denoiser.modules():
            if isinstance(module, (nn.GroupNorm, nn.LayerNorm)):
                nn.init.normal_(module.weight, 1, 0.2)
                nn.init.normal_(module.bias, 0, 0.2)
    denoiser.eval().requires_grad_(False)
    targets = [
        TargetLayer(f"lora_unet_{path.replace('.', '_')}", "unet", kind, group, "unet", path)
        for path, (kind, group) in _PATHS.items()
    ]
    schedule = Discrete(torch.linspace(0.99, 0.01, 10), "epsilon")
    return Base("toy", Path(), find_family("sd1"), denoiser, (), None, schedule, 64, {t.name: t for t in targets})


@torch.no_grad()
def draw(base: Base, rows: slice = slice(None)) -> Tensor:
    """The denoiser's output for the chosen ones of four rows."""
    generator = torch.Generator().manual_seed(7)
    x, t = torch.randn(ROWS, 8, 8, 8, generator=generator), torch.randn(ROWS, 10, generator=generator)
    return base.denoiser(x[rows], t[rows])  # type: ignore[no-any-return]
