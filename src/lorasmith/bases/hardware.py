"""Where a base computes, and in which numbers: the device, the precision, and the layout that suits both.

Factors of adapters, losses and optimizers are fp32 whatever is chosen here; it concerns the frozen base alone.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lorasmith.bases.precision import Precision

Use = Literal["training", "drawing", "exam"]
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def choose_device() -> torch.device:
    """This process's GPU where there is one, else the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def choose_dtype(precision: Precision, device: torch.device, use: Use) -> torch.dtype:
    """The numbers of a base that is put to this use.

    "auto" is bf16 on a GPU that has it; on one that has not, fp16 for drawing and fp32 for training, where fp16's
    small range would need care. On a CPU it is fp32; but an exam, which draws hundreds of pictures and needs none of
    them to the last bit, takes bf16 where the CPU multiplies matrices of it (AMX, AVX-512 BF16: 1.7 times as fast).
    """
    if precision != "auto":
        return _DTYPES[precision]
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16
        return torch.float32 if use == "training" else torch.float16
    return torch.bfloat16 if use == "exam" and _multiplies_bf16() else torch.float32


def precision_of(dtype: torch.dtype) -> Precision:
    """The word for these numbers."""
    return next(cast(Precision, word) for word, each in _DTYPES.items() if each == dtype)


def suit_to_cpu(denoiser: nn.Module) -> None:
    """Lay a half-precision denoiser out as CPUs compute it fastest; what it computes stays the same but for rounding.

    Convolutions run on channels that lie last, where torch's own half-precision group norm is ten times as slow.
    """
    for tensor in (*denoiser.parameters(), *denoiser.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.to(memory_format=torch.channels_last)
    for parent in list(denoiser.modules()):
        for name, layer in parent.named_children():
            if type(layer) is nn.GroupNorm:
                setattr(parent, name, WideGroupNorm.like(layer))


class _One:
    """A divisor that leaves a tensor as it is, without a copy."""

    def __rtruediv__(self, dividend: Tensor) -> Tensor:
        return dividend


def skip_divisions(denoiser: nn.Module) -> None:
    """Let residual blocks and attentions no longer divide by their scale where that is 1, as it is in all families:
    one pass over every activation less, forward and backward, with the same result to the bit."""
    for module in denoiser.modules():
        for name in ("output_scale_factor", "rescale_output_factor"):
            if vars(module).get(name) == 1:
                setattr(module, name, _One())


def take_back_divisions(denoiser: nn.Module) -> None:
    """Let them divide by 1 again (`skip_divisions`): the same to the bit."""
    for module in denoiser.modules():
        for name in ("output_scale_factor", "rescale_output_factor"):
            if isinstance(vars(module).get(name), _One):
                setattr(module, name, 1.0)


class WideGroupNorm(nn.GroupNorm):
    """A group norm that computes in fp32 whatever it is given, as the original latent diffusion code has it."""

    @classmethod
    def like(cls, layer: nn.GroupNorm) -> WideGroupNorm:
        """One with the same parameters."""
        made = cls(layer.num_groups, layer.num_channels, layer.eps, affine=False)
        made.affine, made.weight, made.bias = layer.affine, layer.weight, layer.bias
        return made.train(layer.training)

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = (None if each is None else each.float() for each in (self.weight, self.bias))
        return F.group_norm(input.float(), self.num_groups, weight, bias, self.eps).to(input.dtype)


def _multiplies_bf16() -> bool:
    tell: Any = getattr(torch.cpu, "get_capabilities", dict)  # torch 2.11 and later tell
    known = tell()
    return bool(known.get("amx_bf16") or known.get("avx512_bf16"))
