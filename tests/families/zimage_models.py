"""A whole Z-Image of its true layout and small widths, with random weights, as diffusers writes it; its pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

TRANSFORMER: dict[str, Any] = {
    "in_channels": 16,
    "dim": 32,
    "n_layers": 2,
    "n_refiner_layers": 1,
    "n_heads": 2,
    "n_kv_heads": 2,
    "cap_feat_dim": 24,
    "axes_dims": [4, 6, 6],
    "axes_lens": [1536, 64, 64],
}
WORDS = ("a girl, smile, blue hair, red background, zbk, picture, standing, blue, red, green user assistant",)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""What Qwen3's chat template makes of messages without a system's and without tools."""


def build_zimage(folder: Path, shift: float = 6.0, **transformer: Any) -> Path:
    """Write a base in diffusers' layout; what is given changes the transformer's configuration."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = {
            "text_encoder": Qwen3Model(
                Qwen3Config(
                    hidden_size=24,
                    intermediate_size=32,
                    num_hidden_layers=3,
                    num_attention_heads=2,
                    num_key_value_heads=1,
                    head_dim=8,
                    vocab_size=400,
                    max_position_embeddings=1024,
                    rope_theta=1_000_000.0,
                )
            ),
            "transformer": ZImageTransformer2DModel(**{**TRANSFORMER, **transformer}),
            "vae": AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(32, 32, 32, 64),
                layers_per_block=1,
                latent_channels=16,
                scaling_factor=0.3611,
                shift_factor=0.1159,
                use_quant_conv=False,
                use_post_quant_conv=False,
                force_upcast=True,
            ),
        }
        for name, part in parts.items():
            for path, parameter in part.named_parameters():
                if "pad_token" in path:  # 0 at first: they shall count, too
                    torch.nn.init.normal_(parameter)
                elif parameter.ndim == 2 and name == "transformer":
                    torch.nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
            part.save_pretrained(folder / name)
    make_tokenizer().save_pretrained(folder / "tokenizer")
    FlowMatchEulerDiscreteScheduler(shift=shift).save_pretrained(folder / "scheduler")
    return folder


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Pieces of bytes, and Qwen's marks."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer.train_from_iterator(
        WORDS, trainers.BpeTrainer(vocab_size=390, special_tokens=special, initial_alphabet=alphabet)
    )
    tokenizer.add_special_tokens([AddedToken(word, normalized=False, special=True) for word in special])
    end = "<|endoftext|>"
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=end, eos_token=end, padding_side="right")
    made.chat_template = TEMPLATE
    return made


def load_pipeline(folder: Path) -> Any:
    """diffusers' pipeline on the same files."""
    pipeline = ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler"),
        vae=AutoencoderKL.from_pretrained(folder / "vae").eval(),
        text_encoder=Qwen3Model.from_pretrained(folder / "text_encoder").eval(),
        tokenizer=AutoTokenizer.from_pretrained(folder / "tokenizer"),
        transformer=ZImageTransformer2DModel.from_pretrained(folder / "transformer").eval(),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
