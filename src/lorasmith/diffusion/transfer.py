"""Tensors on their way from the host to where a base computes. Importable without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def send(tensor: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor of the host on the device, in `dtype` there if one is given; the host does not wait for it.

    A copy that is waited for would let the GPU run dry, which the host gives work ahead of time. From pinned memory it
    goes while the GPU computes. Not for the way back, where the host would read before the numbers are there; and what
    was sent must stay as it is.
    """
    if tensor.device == device:
        return tensor if dtype is None else tensor.to(dtype)
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    sent = tensor.to(device, non_blocking=tensor.device.type == "cpu")
    return sent if dtype is None else sent.to(dtype)
