"""The tensors of an adapter file by layer, in kohya's and LyCORIS's form, whatever tool wrote them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from lorasmith.adapters.spelling.fused import parts_of, split
from lorasmith.adapters.spelling.keys import (
    BIAS,
    BOOKKEEPING,
    BUNDLED,
    IA3,
    MAGNITUDE,
    ROTATION,
    SCALED,
    Key,
    bare_text_prefix,
    part_prefix,
    read_key,
)
from lorasmith.adapters.spelling.peft import MODEL, PeftConfig, read_peft_config
from lorasmith.errors import AdapterError
from lorasmith.remedies import Give, Sentence

DOWN, UP = "lora_down.weight", "lora_up.weight"
SHIFT, TERMS = "diff_b", "oft_R.terms"


@dataclass
class SpeltLayer:
    """A layer's tensors by kohya's suffix; `keys` are those of the file."""

    at: Key
    tensors: dict[str, Tensor] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SpeltFile:
    """An adapter file's layers under kohya's prefixes (`keys.read_key`), the embeddings in it by their keys, and the
    keys that no spelling has."""

    layers: Mapping[str, SpeltLayer]
    embeddings: Mapping[str, Tensor]
    unknown: tuple[str, ...]

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All layers' tensors under kohya's keys."""
        return {
            f"{name}.{suffix}": each for name, layer in self.layers.items() for suffix, each in layer.tensors.items()
        }


def read_spelling(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], where: object) -> SpeltFile:
    """The file's tensors by layer. Raises AdapterError where one layer's tensor is there twice, in two spellings.

    PEFT keeps alpha in a configuration; it becomes one alpha a layer.
    """
    config = read_peft_config(metadata, where)
    bare_text = bare_text_prefix({key: tuple(each.shape) for key, each in tensors.items()}, _projects(config))
    alone = part_prefix(where.parent.name) if isinstance(where, Path) and where.name == MODEL else ""
    layers: dict[str, SpeltLayer] = {}
    embeddings: dict[str, Tensor] = {}
    unknown: list[str] = []
    for key, tensor in tensors.items():
        if key.startswith(BUNDLED):
            embeddings[key] = tensor
            continue
        read = None if key.startswith(BOOKKEEPING) else read_key(key, bare_text, alone)
        if read is None:
            if not key.startswith(BOOKKEEPING):
                unknown.append(key)
            continue
        layer = layers.setdefault(read.layer, SpeltLayer(read))
        if read.suffix in layer.tensors:
            raise AdapterError(f"names the layer {read.layer} twice, in two spellings.", where=where)
        layer.tensors[read.suffix] = tensor
        layer.keys.append(key)
    for layer in layers.values():
        _settle(layer, config)
    for name in [name for name in layers if parts_of(name)]:
        _take_apart(layers, name, where)
    return SpeltFile(layers, embeddings, tuple(unknown))


def _take_apart(layers: dict[str, SpeltLayer], name: str, where: object) -> None:
    """Put the parts of a fused layer in its place. A file that has both, as some do, means the parts."""
    whole = layers.pop(name)
    if layers.keys() & set(parts_of(name)):
        return
    for part, tensors in split(name, whole.tensors, where).items():
        layers[part] = SpeltLayer(whole.at, tensors, whole.keys)


def unknown_keys(keys: list[str], where: object, some: bool = False) -> AdapterError:
    """The error for keys that no algorithm takes; `some`: the rest of the file can be used without them."""
    shown = ", ".join(sorted(keys)[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
    return AdapterError(
        f"{len(keys)} of its keys belong to no known adapter algorithm: {shown}.",
        where=where,
        hint=None if some else "It is no adapter, or one of a kind that is not read yet.",
        remedy=Sentence("The rest can be used: ", Give("skip_unknown"), ".") if some else None,
    )


def _settle(layer: SpeltLayer, config: PeftConfig) -> None:
    """Bring a layer's tensors into kohya's and LyCORIS's form."""
    tensors, at = layer.tensors, layer.at
    if IA3 in tensors:
        multiplier = tensors.pop(IA3)  # PEFT's, LyCORIS has it less one
        on_input = multiplier.ndim == 2 and multiplier.shape[0] == 1  # NOTE: of a convolution it cannot be told; rare
        tensors |= {"weight": multiplier.flatten() - 1, "on_input": torch.tensor(float(on_input))}
    if "hada_t1" not in tensors:
        # OneTrainer keeps a convolution's factors as convolutions (`LoRAModule.LoHaModule.initialize_weights`).
        tensors |= {
            key: each.flatten(1) for key, each in tensors.items() if key.startswith("hada_w") and each.ndim == 4
        }
    if MAGNITUDE in tensors:
        tensors["dora_scale"] = tensors.pop(MAGNITUDE).flatten()
    if ROTATION in tensors:
        _settle_rotation(tensors, at, config)
    rank = int(tensors[DOWN].shape[0]) if DOWN in tensors and tensors[DOWN].ndim else None
    alpha = config.alpha(at.owner, at.path, rank)
    if alpha is not None and not tensors.keys() & {"weight", ROTATION, "boft_R"}:
        tensors.setdefault("alpha", torch.tensor(alpha))
    if alpha is not None and {"lokr_w1", "lokr_w2"} <= tensors.keys():
        # NOTE: PEFT alone scales two whole factors.
        tensors["lokr_w1"] = tensors["lokr_w1"] * (alpha / (config.rank(at.owner, at.path) or alpha))
    if BIAS in tensors:
        # It lies inside the second factor, whose output PEFT scales.
        shift, scale = tensors.pop(BIAS).float(), 1.0
        if rank is not None and "alpha" in tensors and tensors["alpha"].numel() == 1:
            scale = (float(tensors["alpha"]) or rank) / rank
        if bool(shift.any()):
            tensors[SHIFT] = shift * scale
    elif SHIFT in tensors and len(tensors) > 1 and not bool(tensors[SHIFT].any()):
        del tensors[SHIFT]


def _settle_rotation(tensors: dict[str, Tensor], at: Key, config: PeftConfig) -> None:
    """OFT of PEFT and OneTrainer: what does not lie in the tensor goes into it, or beside it."""
    R = tensors[ROTATION].float()
    scaled = tensors.pop(SCALED, None)
    side = block_side(R.shape[-1]) if R.ndim == 2 else 0
    if scaled is not None and side > 1 and bool(scaled.bool().all()):
        R = R / (2 * math.sqrt(side - 1))  # OneTrainer's `OFTRotationModule.forward`
    if config.value(at.owner, "coft") is True and R.ndim == 2:
        # `OFTRotationModule._project_batch`: each block's skew matrix, whose norm is that of R twice.
        most = float(config.value(at.owner, "eps", 6e-5)) / math.sqrt(R.shape[0])
        norm = R.norm(dim=1, keepdim=True) * math.sqrt(2)
        R = torch.where(norm > most, R * (most / norm.clamp_min(1e-30)), R)
    tensors[ROTATION] = R
    if config.table:
        tensors.setdefault(TERMS, torch.tensor(float(config.terms(at.owner))))


def block_side(elements: int) -> int:
    """The side of a skew-symmetric matrix with so many numbers above its diagonal; 0 when there is none such."""
    side = (1 + math.isqrt(1 + 8 * elements)) // 2
    return side if side * (side - 1) // 2 == elements else 0


def _projects(config: PeftConfig) -> bool:
    """Whether the model that a configuration was made for has a projection, as SDXL's second text encoder."""
    mapping = config.table.get("auto_mapping")
    return isinstance(mapping, Mapping) and "Projection" in str(mapping.get("base_model_class", ""))
