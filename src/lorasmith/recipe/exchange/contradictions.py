"""What does not go together here and other trainers tolerate, taken the way they act."""

from __future__ import annotations

from lorasmith.optimizers import OPTIMIZERS
from lorasmith.recipe.exchange.imported import Imported

_FOR_PLAIN_LORA = ("dropout.network", "dropout.rank", "max_weight_norm")


def settle(result: Imported, debiased: str = "loss.debiased") -> None:
    """Take back what cannot stand beside something else, and list it; `debiased` is that trainer's word for it."""
    if result.get("loss.min_snr_gamma") and result.get("loss.debiased"):
        result.drop(debiased, True, "min_snr_gamma weighs the same thing already")
        result.put("loss.debiased", False)
    if not result.get("noise.offset"):
        result.put("noise.offset_random", False)
    if not result.get("noise.ip_gamma"):
        result.put("noise.ip_random", False)
    optimizer = OPTIMIZERS[result.get("optimizer.name")]
    if optimizer.one_rate:
        one_rate(result)
    if optimizer.averages and result.get("average.kind", "none") != "none":
        result.drop("average.kind", result.get("average.kind"), f"{optimizer.name} averages by itself")
        result.put("average.kind", "none")
    if result.get("algorithm") != "lora" or result.get("dora") or result.get("conv.tucker"):
        for path in _FOR_PLAIN_LORA:
            if result.get(path):
                result.drop(path, result.get(path), "is for plain lora only here")
                result.put(path, 0)


def one_rate(result: Imported) -> None:
    """Prodigy finds one rate for all: the text encoder gets the UNet's, or none."""
    unet, encoder = result.get("lr.unet", 1.0), result.get("lr.text_encoder", 0.0)
    result.values.get("lr", {}).pop("text_encoder_2", None)
    if encoder not in (0, unet):
        result.drop("text_encoder_lr", encoder, f"prodigy has one rate for all; {unet:g} is taken")
        result.put("lr.text_encoder", unet)
