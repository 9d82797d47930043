"""Anima's layers: their names in checkpoints and kohya's files, and their paths in diffusers' models."""

from __future__ import annotations

import re

from lorasmith.bases.targets import Group

_ATTENTION = ("q_proj", "k_proj", "v_proj", "output_proj")
_IN_DIFFUSERS = {"q_proj": "to_q", "k_proj": "to_k", "v_proj": "to_v", "output_proj": "to_out.0"}
BLOCK: tuple[tuple[str, str, Group], ...] = (
    # (name in a checkpoint, path in diffusers' model, group) inside a block: diffusers'
    # `_convert_non_diffusers_anima_lora_to_diffusers`.
    *((f"self_attn.{each}", f"attn1.{_IN_DIFFUSERS[each]}", "attention") for each in _ATTENTION),
    *((f"cross_attn.{each}", f"attn2.{_IN_DIFFUSERS[each]}", "attention") for each in _ATTENTION),
    ("mlp.layer1", "ff.net.0.proj", "mlp"),
    ("mlp.layer2", "ff.net.2", "mlp"),
)
MODULATION = (("self_attn", "norm1"), ("cross_attn", "norm2"), ("mlp", "norm3"))
ENDS: tuple[tuple[str, str], ...] = (
    # Outside the blocks and in their modulation: read, drawn with and extracted, not trained, as kohya's trainer leaves
    # them out.
    ("x_embedder.proj.1", "patch_embed.proj"),
    ("t_embedder.1.linear_1", "time_embed.t_embedder.linear_1"),
    ("t_embedder.1.linear_2", "time_embed.t_embedder.linear_2"),
    ("final_layer.adaln_modulation.1", "norm_out.linear_1"),
    ("final_layer.adaln_modulation.2", "norm_out.linear_2"),
    ("final_layer.linear", "proj_out"),
)
CONDITIONING: tuple[tuple[str, Group], ...] = (
    *((f"{kind}.{each}_proj", "attention") for kind in ("self_attn", "cross_attn") for each in "qkvo"),
    ("mlp.0", "mlp"),
    ("mlp.2", "mlp"),
)
_INNER = {
    **{path: name for name, path, _ in BLOCK},
    **{f"{norm}.linear_{at}": f"adaln_modulation_{kind}.{at}" for kind, norm in MODULATION for at in (1, 2)},
    **{
        f"attn{at}.norm_{each}": f"{kind}_attn.{each}_norm" for at, kind in ((1, "self"), (2, "cross")) for each in "qk"
    },
}
_OUTER = {**{path: name for name, path in ENDS}, "time_embed.norm": "t_embedding_norm"}
_INSIDE = re.compile(r"transformer_blocks\.(\d+)\.(.+)")


def checkpoint_key(key: str) -> str:
    """A key of diffusers' transformer as checkpoints have it, without a prefix. Raises KeyError."""
    module, _, kind = key.rpartition(".")
    inside = _INSIDE.fullmatch(module)
    name = _OUTER[module] if inside is None else f"blocks.{inside[1]}.{_INNER[inside[2]]}"
    return f"{name}.{kind}"
