"""A denoiser that torch.compile has made anew: kernels that are joined, for a GPU that many small ones keep waiting."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch

from lorasmith.bases.hardware import take_back_divisions

BACKEND = "inductor"
LOOKED_AT = r"The \.grad attribute of a Tensor that is not a leaf Tensor is being accessed"
MOST_FORMS = 64
"""So many forms of a pass are compiled: each size of picture and number of rows is one."""


class CompiledDenoiser:
    """Compiles at the first pass of each form; what acts beside the layers then is compiled with them."""

    def __init__(self, denoiser: Any) -> None:
        take_back_divisions(denoiser)  # a divisor that is no number ends what is compiled as one
        self._denoiser = denoiser
        self._call = torch.compile(denoiser._call_impl, backend=BACKEND, dynamic=False)

    @contextmanager
    def used(self) -> Iterator[None]:
        """Inside, the denoiser's passes are the compiled ones."""
        config = cast(Any, torch._dynamo.config)
        self._denoiser._compiled_call_impl = self._call
        try:
            with config.patch(recompile_limit=MOST_FORMS), warnings.catch_warnings():
                # NOTE: Dynamo looks at the gradients of whatever it traces; where warnings are errors, it ends of it.
                warnings.filterwarnings("ignore", LOOKED_AT, UserWarning)
                yield
        finally:
            self._denoiser._compiled_call_impl = None
