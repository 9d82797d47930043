"""An adapter out of two checkpoints: what one has learnt that the other has not, layer by layer.

Only one layer's weights are in memory at a time. The best change of a rank comes from the eigenvectors of the smaller
Gram matrix in float64: the same as the full SVD's, at a fraction of its time (Eckart & Young 1936).
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from dataclasses import replace

import torch
from torch import Tensor

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.header import build_header
from lorasmith.adapters.layers.factors import LayerFactors
from lorasmith.adapters.surgery.merging import OPERATION, Operation
from lorasmith.adapters.surgery.products import Cut, as_lora, kept_rank
from lorasmith.bases.stored import StoredBase
from lorasmith.errors import AdapterError
from lorasmith.events import Progress, Work, eta

GROUPS = ("attention", "mlp", "conv", "time", "refiners", "ends")


def extract(
    tuned: StoredBase,
    base: StoredBase,
    cut: Cut,
    *,
    name: str,
    groups: Collection[str] = GROUPS,
    text_encoder: bool = True,
) -> Work[Operation]:
    """The LoRA that makes `base` act like `tuned`, shortened by `cut`; its error is over all compared layers.

    Layers without a difference are left out. Norms and biases cannot be held by a LoRA and are not compared. Raises
    AdapterError when the two are of different families or shapes, or do not differ.
    """
    if tuned.family != base.family:
        raise AdapterError(f"{tuned.name} is {tuned.family}, {base.name} is {base.family}: they do not go together.")
    chosen = [
        target.name
        for target in base.layers.values()
        if target.group in groups and (text_encoder or target.part == "unet") and target.name in tuned.layers
    ]
    layers: dict[str, LayerFactors] = {}
    errors: dict[str, float] = {}
    lost = whole = 0.0
    begun = time.monotonic()
    with tuned.reading(), base.reading():
        for done, layer in enumerate(chosen, start=1):
            change = _change(tuned, base, layer)
            if change is not None:
                up, down, gone, norm = best_product(change.flatten(1), cut)
                lost, whole = lost + gone**2, whole + norm**2
                errors[layer] = gone / norm
                layers[layer] = as_lora(up, down, change.shape)
            yield Progress("extracting", done, len(chosen), eta(begun, done, len(chosen)))
    if not layers:
        raise AdapterError(f"{tuned.name} and {base.name} do not differ in any layer that a LoRA can hold.")
    adapter = Adapter(name, layers, {})
    even = len({factors.rank for factors in layers.values()}) == 1
    family = base.family.header_facts(base.structure.prediction)
    facts = {
        "ss_output_name": name,
        "ss_v2": family.v2,
        "ss_base_model_version": family.version,
        "ss_network_module": "networks.lora",
        "ss_network_dim": adapter.rank if even else "Dynamic",
        "ss_network_alpha": adapter.alpha if even else "Dynamic",
        "ss_network_args": {},
        "ss_sd_model_name": base.name,
        OPERATION: "extracted",
        "ss_training_comment": f"extracted: {tuned.name} minus {base.name}",
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": family.architecture,
        "modelspec.title": name,
    }
    return Operation(replace(adapter, metadata=build_header(facts)), math.sqrt(lost / whole), errors)


def _change(tuned: StoredBase, base: StoredBase, layer: str) -> Tensor | None:
    """What the layer learnt, fp32; None when nothing."""
    new, old = tuned.read(layer), base.read(layer)
    if new.shape != old.shape:
        raise AdapterError(
            f"{layer} has the shape {tuple(new.shape)} in {tuned.name}, {tuple(old.shape)} in {base.name}."
        )
    change = new.float() - old.float()
    norm = float(change.norm())
    if not math.isfinite(norm):
        raise AdapterError(f"{layer} holds NaN or infinite values in {tuned.name} or {base.name}.")
    # What is left of the same weight in another precision is no change.
    coarse = max(new.dtype, old.dtype, key=lambda dtype: torch.finfo(dtype).eps)
    return None if torch.equal(new.to(coarse), old.to(coarse)) else change


def best_product(change: Tensor, cut: Cut) -> tuple[Tensor, Tensor, float, float]:
    """The best up (o, r) @ down (r, n) for a matrix, balanced; the norms of what is lost and of all there was."""
    M = change.double()
    wide = M.shape[0] <= M.shape[1]
    energy, U = torch.linalg.eigh(M @ M.T if wide else M.T @ M)
    energy, U = energy.flip(0).clamp_min(0), U.flip(1)
    r = kept_rank(energy, cut)
    root = energy[:r].clamp_min(1e-300).sqrt().sqrt()
    ours = U[:, :r]
    up, down = (ours * root, (ours.T @ M) / root[:, None]) if wide else ((M @ ours) / root, (ours * root).T)
    return up.float(), down.float(), math.sqrt(float(energy[r:].sum())), math.sqrt(float(energy.sum()))
