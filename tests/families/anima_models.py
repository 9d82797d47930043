"""A whole Anima of its true layout and small widths, with random weights, as diffusers writes one; and its pipeline."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from diffusers import (
    AnimaAutoBlocks,
    AnimaTextConditioner,
    AutoencoderKLQwenImage,
    CosmosTransformer3DModel,
    FlowMatchEulerDiscreteScheduler,
)
from diffusers.models.transformers import transformer_cosmos
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from torch.nn import functional
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

TRANSFORMER: dict[str, Any] = {
    "in_channels": 16,
    "out_channels": 16,
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "num_layers": 2,
    "mlp_ratio": 2.0,
    "text_embed_dim": 16,
    "adaln_lora_dim": 8,
    "max_size": (4, 32, 32),
    "patch_size": (1, 2, 2),
    "rope_scale": (1.0, 4.0, 4.0),
    "concat_padding_mask": True,
    "extra_pos_embed_type": None,
}
WORDS = ("a girl, smile, blue hair, red background, zbk, picture, standing, blue, red, green",)


def build_anima(folder: Path, **transformer: Any) -> Path:
    """Write a base in diffusers' layout; what is given changes the transformer's configuration."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = {
            "text_encoder": Qwen3Model(
                Qwen3Config(
                    hidden_size=16,
                    intermediate_size=32,
                    num_hidden_layers=2,
                    num_attention_heads=2,
                    num_key_value_heads=1,
                    head_dim=8,
                    vocab_size=400,
                    max_position_embeddings=1024,
                    rope_theta=1_000_000.0,
                )
            ),
            "text_conditioner": AnimaTextConditioner(
                source_dim=16, target_dim=16, model_dim=16, num_layers=2, num_attention_heads=2, target_vocab_size=400
            ),
            "transformer": CosmosTransformer3DModel(**{**TRANSFORMER, **transformer}),
            "vae": AutoencoderKLQwenImage(
                base_dim=8, z_dim=16, dim_mult=[1, 2, 2, 2], num_res_blocks=1, temperal_downsample=[False, True, True]
            ),
        }
        for name, part in parts.items():
            for parameter in part.parameters():
                if parameter.ndim == 2 and name == "transformer":  # some are 0 at first: everything shall count
                    torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
            part.save_pretrained(folder / name)
    _tokenizer(end=False).save_pretrained(folder / "tokenizer")
    _tokenizer(end=True).save_pretrained(folder / "t5_tokenizer")
    FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    return folder


def _tokenizer(end: bool) -> PreTrainedTokenizerFast:
    """Pieces of bytes; with `end` a text ends in a mark, as T5's do and Qwen's do not."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<pad>", "<unk>", "</s>"]
    tokenizer.train_from_iterator(
        WORDS, trainers.BpeTrainer(vocab_size=390, special_tokens=special, initial_alphabet=alphabet)
    )
    if end:
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 2)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="</s>")


def load_pipeline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """diffusers' modular pipeline on the same files; torchvision's one function that it needs stands in a module."""
    transforms = ModuleType("transforms")
    transforms.functional = ModuleType("functional")  # type: ignore[attr-defined]
    transforms.InterpolationMode = ModuleType("modes")  # type: ignore[attr-defined]
    transforms.InterpolationMode.NEAREST = "nearest"
    transforms.functional.resize = lambda mask, size, interpolation: functional.interpolate(
        mask, size=size, mode=interpolation
    )
    monkeypatch.setattr(transformer_cosmos, "transforms", transforms, raising=False)
    theirs = AnimaAutoBlocks().init_pipeline()
    theirs.update_components(
        text_encoder=Qwen3Model.from_pretrained(folder / "text_encoder").eval(),
        tokenizer=AutoTokenizer.from_pretrained(folder / "tokenizer"),
        t5_tokenizer=AutoTokenizer.from_pretrained(folder / "t5_tokenizer"),
        text_conditioner=AnimaTextConditioner.from_pretrained(folder / "text_conditioner").eval(),
        transformer=CosmosTransformer3DModel.from_pretrained(folder / "transformer").eval(),
        vae=AutoencoderKLQwenImage.from_pretrained(folder / "vae").eval(),
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
    )
    return theirs
