"""Z-Image's layers: their paths in diffusers' model, and their keys in checkpoints, which keep q, k and v in one."""

from __future__ import annotations

from lorasmith.bases.families.original import Source
from lorasmith.bases.targets import Group, TargetLayer, underscored

PICTURE, TEXT, BOTH = "noise_refiner", "context_refiner", "layers"
"""The blocks that read the picture alone, the text alone, and both."""
BLOCKS = {PICTURE: "N", TEXT: "C", BOTH: "B"}
BLOCK: tuple[tuple[str, Group], ...] = (
    *((f"attention.{each}", "attention") for each in ("to_q", "to_k", "to_v", "to_out.0")),
    *((f"feed_forward.{each}", "mlp") for each in ("w1", "w2", "w3")),
)
ENDS: tuple[tuple[str, str], ...] = (
    # Outside the blocks: path in diffusers' model, and in a checkpoint.
    ("all_x_embedder.2-1", "x_embedder"),
    ("t_embedder.mlp.0", "t_embedder.mlp.0"),
    ("t_embedder.mlp.2", "t_embedder.mlp.2"),
    ("cap_embedder.1", "cap_embedder.1"),
    ("all_final_layer.2-1.adaLN_modulation.1", "final_layer.adaLN_modulation.1"),
    ("all_final_layer.2-1.linear", "final_layer.linear"),
)
_STORED = (
    ("all_x_embedder.2-1.", "x_embedder."),
    ("all_final_layer.2-1.", "final_layer."),
    (".attention.to_out.0.", ".attention.out."),
    (".attention.norm_q.", ".attention.q_norm."),
    (".attention.norm_k.", ".attention.k_norm."),
)
"""How diffusers and checkpoints call the same (ComfyUI's `z_image_to_diffusers`, diffusers'
`convert_z_image_transformer_checkpoint_to_diffusers`)."""
_THIRDS = {f".attention.to_{each}.": third for third, each in enumerate("qkv")}


def block_layers(kind: str, count: int) -> list[TargetLayer]:
    """The layers inside blocks of a kind that adapters train; the refiners' are a group of their own."""
    return [
        _layer(f"{kind}.{index}.{tail}", group if kind == BOTH else "refiners", f"{BLOCKS[kind]}{index:02}")
        for index in range(count)
        for tail, group in BLOCK
    ]


def end_layers(blocks: list[str]) -> list[TargetLayer]:
    """The modulation of these blocks ("layers.0"), and the layers outside all: read, drawn with and extracted, not
    trained, as no trainer's default does."""
    modulated = [each for each in blocks if not each.startswith(TEXT)]
    inner = [
        _layer(f"{each}.adaLN_modulation.0", "ends", f"{BLOCKS[each.split('.')[0]]}{int(each.split('.')[1]):02}")
        for each in modulated
    ]
    return inner + [_layer(path, "ends", "BASE") for path, _ in ENDS] if blocks else []


def _layer(path: str, group: Group, block: str) -> TargetLayer:
    stored = _renamed(f"{path}.").removesuffix(".")
    aliases = () if stored == path else (stored,)
    return TargetLayer(f"lora_unet_{underscored(path)}", "unet", "linear", group, "transformer", path, block, aliases)


def _renamed(key: str) -> str:
    for ours, stored in _STORED:
        key = key.replace(ours, stored)
    return key


def checkpoint_source(key: str, start: str, fused: bool) -> Source:
    """Where a weight of diffusers' transformer lies in a checkpoint; one that is not `fused` has diffusers' keys."""
    if not fused:
        return Source(f"{start}{key}")
    for part, third in _THIRDS.items():
        if part in key:
            return Source(f"{start}{key.replace(part, '.attention.qkv.')}", third=third)
    return Source(f"{start}{_renamed(key)}")
