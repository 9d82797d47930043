"""FLUX.2-klein's layers: paths in diffusers' model, and keys in checkpoints, which keep q, k and v in one."""

from __future__ import annotations

from lorasmith.bases.families.original import Source
from lorasmith.bases.targets import Group, TargetLayer, underscored

DOUBLE, SINGLE = "transformer_blocks", "single_transformer_blocks"
"""The blocks that keep picture and text apart but for their attention, and those that read both in one stream."""
_STORED_BLOCKS = {DOUBLE: "double_blocks", SINGLE: "single_blocks"}
_LETTERS = {DOUBLE: "D", SINGLE: "B"}
_BLOCK: dict[str, tuple[tuple[str, str, Group], ...]] = {
    # Path in diffusers' block, in a checkpoint's (q, k and v: as if they were apart), group.
    DOUBLE: (
        *((f"attn.to_{each}", f"img_attn.{each}", "attention") for each in "qkv"),
        ("attn.to_out.0", "img_attn.proj", "attention"),
        *((f"attn.add_{each}_proj", f"txt_attn.{each}", "attention") for each in "qkv"),
        ("attn.to_add_out", "txt_attn.proj", "attention"),
        ("ff.linear_in", "img_mlp.0", "mlp"),
        ("ff.linear_out", "img_mlp.2", "mlp"),
        ("ff_context.linear_in", "txt_mlp.0", "mlp"),
        ("ff_context.linear_out", "txt_mlp.2", "mlp"),
    ),
    SINGLE: (
        ("attn.to_qkv_mlp_proj", "linear1", "attention"),
        ("attn.to_out", "linear2", "attention"),
    ),
}
FUSED = {f"{side}_attn_qkv": tuple(f"{side}_attn_{each}" for each in "qkv") for side in ("img", "txt")}
_ENDS = (
    # Outside the blocks: path in diffusers' model, and in a checkpoint.
    ("x_embedder", "img_in"),
    ("context_embedder", "txt_in"),
    ("time_guidance_embed.timestep_embedder.linear_1", "time_in.in_layer"),
    ("time_guidance_embed.timestep_embedder.linear_2", "time_in.out_layer"),
    ("double_stream_modulation_img.linear", "double_stream_modulation_img.lin"),
    ("double_stream_modulation_txt.linear", "double_stream_modulation_txt.lin"),
    ("single_stream_modulation.linear", "single_stream_modulation.lin"),
    ("proj_out", "final_layer.linear"),
)
_LAST = ("norm_out.linear.", "final_layer.adaLN_modulation.1.")
"""Shift and scale lie the other way round in a checkpoint."""
_NORMS = {
    DOUBLE: (
        ("attn.norm_q", "img_attn.norm.query_norm"),
        ("attn.norm_k", "img_attn.norm.key_norm"),
        ("attn.norm_added_q", "txt_attn.norm.query_norm"),
        ("attn.norm_added_k", "txt_attn.norm.key_norm"),
    ),
    SINGLE: (("attn.norm_q", "norm.query_norm"), ("attn.norm_k", "norm.key_norm")),
}
WIDE = frozenset(path.split(".")[0] for path, _ in _ENDS) | {"norm_out"}


def block_layers(kind: str, count: int) -> list[TargetLayer]:
    """The layers inside blocks of a kind."""
    return [
        _layer(
            f"{kind}.{index}.{path}", f"{_STORED_BLOCKS[kind]}.{index}.{stored}", group, f"{_LETTERS[kind]}{index:02}"
        )
        for index in range(count)
        for path, stored, group in _BLOCK[kind]
    ]


def end_layers() -> list[TargetLayer]:
    """The layers outside all blocks, modulation among them: read, drawn with and extracted, not trained, as by
    musubi-tuner. The last modulation is none: its halves are not where a checkpoint's are."""
    return [_layer(path, stored, "ends", "BASE") for path, stored in _ENDS]


def _layer(path: str, stored: str, group: Group, block: str) -> TargetLayer:
    name = f"lora_unet_{underscored(path)}"
    return TargetLayer(name, "unet", "linear", group, "transformer", path, block, (stored,))


def checkpoint_source(key: str, start: str) -> Source:
    """Where a weight of diffusers' transformer lies in a checkpoint."""
    path, _, kind = key.rpartition(".")
    ours, theirs = _LAST
    if key.startswith(ours):
        return Source(f"{start}{theirs}{kind}", swapped=True)
    for outer, stored in _ENDS:
        if path == outer:
            return Source(f"{start}{stored}.{kind}")
    block, index, inner = path.split(".", 2)
    at = f"{start}{_STORED_BLOCKS[block]}.{index}"
    for norm, stored in _NORMS[block]:
        if inner == norm:
            return Source(f"{at}.{stored}.scale")
    stored = next(stored for each, stored, _ in _BLOCK[block] if each == inner)
    head, _, last = stored.rpartition(".")
    if head.endswith("_attn") and last in "qkv":
        return Source(f"{at}.{head}.qkv.{kind}", third="qkv".index(last))
    return Source(f"{at}.{stored}.{kind}")
