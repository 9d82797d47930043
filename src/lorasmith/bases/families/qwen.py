"""Qwen3 as a text encoder: its layers, and its structure by the keys and shapes of a file. Importable without torch."""

from __future__ import annotations

from typing import Any

from lorasmith.bases.families.evidence import Shapes
from lorasmith.bases.targets import Group, TargetLayer, underscored

_STARTS = ("model.", "")
LAYERS: tuple[tuple[str, Group], ...] = (
    *((f"self_attn.{each}_proj", "attention") for each in "qkvo"),
    *((f"mlp.{each}_proj", "mlp") for each in ("gate", "up", "down")),
)


def qwen_targets(owner: str, prefix: str, depth: int) -> list[TargetLayer]:
    """The layers of a Qwen3 with so many blocks that an adapter may touch."""
    paths = [(f"layers.{index}.{tail}", group) for index in range(depth) for tail, group in LAYERS]
    return [
        TargetLayer(f"{prefix}_{underscored(path)}", "te", "linear", group, owner, path, "TE") for path, group in paths
    ]


def qwen_start(shapes: Shapes, starts: tuple[str, ...] = _STARTS) -> str | None:
    """How the keys of a Qwen3 begin in a file; None when it holds none."""
    return next(
        (
            each
            for each in starts
            if f"{each}embed_tokens.weight" in shapes and f"{each}layers.0.self_attn.q_norm.weight" in shapes
        ),
        None,
    )


def qwen_config(shapes: Shapes) -> dict[str, Any]:
    """The configuration of transformers' Qwen3Model, by shapes whose keys begin with ``embed_tokens`` and ``layers``.
    Raises KeyError."""
    vocabulary, width = shapes["embed_tokens.weight"]
    head = shapes["layers.0.self_attn.q_norm.weight"][0]
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": shapes["layers.0.mlp.gate_proj.weight"][0],
        "num_hidden_layers": count_blocks(shapes, "layers."),
        "num_attention_heads": shapes["layers.0.self_attn.q_proj.weight"][0] // head,
        "num_key_value_heads": shapes["layers.0.self_attn.k_proj.weight"][0] // head,
        "head_dim": head,
        "max_position_embeddings": 32768,
        "rope_theta": 1_000_000.0,
        "rms_norm_eps": 1e-6,
    }


def inside(shapes: Shapes, start: str) -> dict[str, tuple[int, ...]]:
    """The shapes whose keys begin so, without it."""
    return {key.removeprefix(start): shape for key, shape in shapes.items() if key.startswith(start)}


def count_blocks(shapes: Shapes, start: str) -> int:
    """How many numbered blocks there are behind a beginning of one word. Raises ValueError when there is none."""
    return 1 + max(int(key.split(".")[1]) for key in shapes if key.startswith(start))
