"""The layers of diffusers' UNet2DConditionModel and of CLIP text encoders: fixed tables, computed from the config.

Live module names are never used for naming: they change between releases of the libraries, names in files may not.
Two spellings exist. kohya's sd-scripts writes SD 1 and 2 layers by their diffusers path (`down_blocks_0_...`) and
SDXL layers by the Stability path (`input_blocks_4_1_...`); text encoder names always say `text_model_`. Counts at
true size (the transformers' layers, then all): SD1 192, 278; SDXL 722, 788; CLIP-L 72; OpenCLIP-bigG 192.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lorasmith.bases.targets import Group, Kind, TargetLayer, underscored
from lorasmith.errors import BaseError


def text_targets(layers: int, prefix: str, owner: str) -> Iterator[TargetLayer]:
    """The linear layers of a CLIP text encoder's attentions and MLPs: six a layer."""
    for index in range(layers):
        at = f"text_model.encoder.layers.{index}"
        inner: list[tuple[str, Group]] = [
            *((f"self_attn.{each}_proj", "attention") for each in ("q", "k", "v", "out")),
            ("mlp.fc1", "mlp"),
            ("mlp.fc2", "mlp"),
        ]
        for tail, group in inner:
            path = f"{at}.{tail}"
            yield TargetLayer(f"{prefix}_{underscored(path)}", "te", "linear", group, owner, path, "TE")


def unet_targets(config: Mapping[str, Any], stability_names: bool) -> Iterator[TargetLayer]:
    """The transformers' linear layers and 1x1 convolutions, and the residual blocks' layers, of a diffusers UNet.

    `config` is the UNet2DConditionModel's. Raises BaseError for a block type that no family has.
    """
    for block in unet_blocks(config):
        for tail, stability_tail, kind, group in block.layers:
            path, stability = (
                f"{at}.{own}" if own else at for at, own in ((block.path, tail), (block.stability, stability_tail))
            )
            name = f"lora_unet_{underscored(stability if stability_names else path)}"
            outputs = block.width * (8 if tail.endswith("ff.net.0.proj") else 1)
            yield TargetLayer(name, "unet", kind, group, "unet", path, block.name, (stability,), outputs)


def end_targets(targets: Collection[TargetLayer], stability_names: bool, labelled: bool) -> Iterator[TargetLayer]:
    """The layers outside the blocks of a UNet with these targets, and the projection of a second text encoder.

    `labelled`: the UNet is told sizes, too.
    """
    if any(target.path.startswith("down_blocks.") for target in targets):
        for path, stability, kind, block in _ENDS:
            if labelled or not path.startswith("add_embedding"):
                name = f"lora_unet_{underscored(stability if stability_names else path)}"
                yield TargetLayer(name, "unet", kind, "ends", "unet", path, block, (stability,))
    second = next((target for target in targets if target.owner == "text_encoder_2"), None)
    if second is not None:
        name = f"{second.name.split('_text_model_')[0]}_text_projection"
        yield TargetLayer(name, "te", "linear", "ends", second.owner, "text_projection", "TE")


_ENDS: tuple[tuple[str, str, Kind, str], ...] = (
    # Its path, the same in Stability's spelling, its kind, and its block.
    ("conv_in", "input_blocks.0.0", "conv3", "IN00"),
    ("time_embedding.linear_1", "time_embed.0", "linear", "BASE"),
    ("time_embedding.linear_2", "time_embed.2", "linear", "BASE"),
    ("add_embedding.linear_1", "label_emb.0.0", "linear", "BASE"),
    ("add_embedding.linear_2", "label_emb.0.2", "linear", "BASE"),
    ("conv_out", "out.2", "conv3", "BASE"),
)


_NORMS = (
    # A layer's ending, and that of the norm before it: in diffusers' spelling, in Stability's.
    ("conv1", "norm1", "in_layers.2", "in_layers.0"),
    ("conv2", "norm2", "out_layers.3", "out_layers.0"),
    ("proj_in", "norm", "proj_in", "norm"),
    ("attn1.to_q", "norm1", "attn1.to_q", "norm1"),
    ("attn2.to_q", "norm2", "attn2.to_q", "norm2"),
    ("ff.net.0.proj", "norm3", "ff.net.0.proj", "norm3"),
    ("self_attn.q_proj", "layer_norm1", "self_attn.q_proj", "layer_norm1"),
    ("mlp.fc1", "layer_norm2", "mlp.fc1", "layer_norm2"),
)


def norm_targets(targets: Iterable[TargetLayer], stability_names: bool) -> Iterator[TargetLayer]:
    """The normalisation layers before the given targets, then the UNet's last one and each text encoder's."""
    last: dict[str, TargetLayer] = {}
    for target in targets:
        for tail, norm, stability_tail, stability_norm in _NORMS:
            if target.path.endswith(f".{tail}"):
                spelling = (stability_tail, stability_norm) if stability_names else (tail, norm)
                ending, new = (underscored(f".{each}") for each in spelling)
                path = f"{target.path.removesuffix(tail)}{norm}"
                name = f"{target.name.removesuffix(ending)}{new}"
                aliases = tuple(f"{each.removesuffix(stability_tail)}{stability_norm}" for each in target.aliases)
                # A residual block's first norm is as wide as what comes in; the feed-forward layer is 8 times as wide.
                width = 0 if tail == "conv1" else target.outputs // (8 if tail == "ff.net.0.proj" else 1)
                yield TargetLayer(name, target.part, "norm", "norm", target.owner, path, target.block, aliases, width)
        last.setdefault(target.owner, target)
    for owner, target in last.items():
        if target.part == "te":
            path, prefix = "text_model.final_layer_norm", target.name.split("_text_model_")[0]
            name, aliases = f"{prefix}_{underscored(path)}", ()
        else:
            path, aliases = "conv_norm_out", ("out.0",)
            name = "lora_unet_out_0" if stability_names else "lora_unet_conv_norm_out"
        block = "TE" if target.part == "te" else "BASE"
        yield TargetLayer(name, target.part, "norm", "norm", owner, path, block, aliases)


_Layer = tuple[str, str, Kind, Group]
"""(path inside its block, the same in Stability's spelling, kind, group)."""


@dataclass(frozen=True)
class UnetBlock:
    """A residual block, a transformer or a sampler: its diffusers path, its Stability path, its layers, its width."""

    path: str
    stability: str
    layers: tuple[_Layer, ...]
    width: int

    @property
    def name(self) -> str:
        """The block as block weights count it, by Stability's numbers: "IN04", "M00", "OUT03"."""
        side, number = self.stability.split(".")[:2]
        return "M00" if side == "middle_block" else f"{_SIDES[side]}{int(number):02}"


_SIDES = {"input_blocks": "IN", "output_blocks": "OUT"}


def _resnet(path: str, stability: str, width: int, shortcut: bool) -> UnetBlock:
    layers: list[_Layer] = [
        ("conv1", "in_layers.2", "conv3", "conv"),
        ("time_emb_proj", "emb_layers.1", "linear", "time"),
        ("conv2", "out_layers.3", "conv3", "conv"),
    ]
    if shortcut:
        layers.append(("conv_shortcut", "skip_connection", "conv1", "conv"))
    return UnetBlock(path, stability, tuple(layers), width)


def _transformer(path: str, stability: str, width: int, depth: int, linear_projection: bool) -> UnetBlock:
    projection: Kind = "linear" if linear_projection else "conv1"
    layers: list[_Layer] = [("proj_in", "proj_in", projection, "attention")]
    for index in range(depth):
        at = f"transformer_blocks.{index}"
        for attention in ("attn1", "attn2"):
            for tail in ("to_q", "to_k", "to_v", "to_out.0"):
                layers.append((f"{at}.{attention}.{tail}",) * 2 + ("linear", "attention"))
        for tail in ("ff.net.0.proj", "ff.net.2"):
            layers.append((f"{at}.{tail}",) * 2 + ("linear", "mlp"))
    layers.append(("proj_out", "proj_out", projection, "attention"))
    return UnetBlock(path, stability, tuple(layers), width)


def _sampler(path: str, stability: str, width: int) -> UnetBlock:
    return UnetBlock(path, stability, (("", "", "conv3", "conv"),), width)


def unet_blocks(config: Mapping[str, Any]) -> Iterator[UnetBlock]:
    """All blocks in the order of the forward pass, with the indices that both spellings give them."""
    widths: Sequence[int] = config["block_out_channels"]
    count = len(widths)
    depth = _per_block(config.get("layers_per_block", 2), count)
    transformers = _per_block(config.get("transformer_layers_per_block", 1), count)
    linear = bool(config.get("use_linear_projection", False))

    number = 1  # Stability counts every resnet and sampler; its input block 0 is the first convolution
    width = widths[0]
    for i, kind in enumerate(config["down_block_types"]):
        attends = _attends(kind, ("CrossAttnDownBlock2D", "DownBlock2D"))
        for j in range(depth[i]):
            at, stability = f"down_blocks.{i}", f"input_blocks.{number}"
            yield _resnet(f"{at}.resnets.{j}", f"{stability}.0", widths[i], shortcut=width != widths[i])
            if attends:
                own = f"{at}.attentions.{j}", f"{stability}.1", widths[i]
                yield _transformer(*own, _at(transformers[i], j), linear)
            width = widths[i]
            number += 1
        if i < count - 1:
            yield _sampler(f"down_blocks.{i}.downsamplers.0.conv", f"input_blocks.{number}.0.op", width)
            number += 1

    if config.get("mid_block_type", "UNetMidBlock2DCrossAttn") != "UNetMidBlock2DCrossAttn":
        raise BaseError(f"the UNet's middle block is a {config['mid_block_type']}, which no supported family has.")
    yield _resnet("mid_block.resnets.0", "middle_block.0", width, shortcut=False)
    yield _transformer("mid_block.attentions.0", "middle_block.1", width, _at(transformers[-1], 0), linear)
    yield _resnet("mid_block.resnets.1", "middle_block.2", width, shortcut=False)

    number = 0
    before = widths[-1]
    up_widths, up_depth = widths[::-1], depth[::-1]
    up_transformers = config.get("reverse_transformer_layers_per_block") or transformers[::-1]
    for i, kind in enumerate(config["up_block_types"]):
        attends = _attends(kind, ("CrossAttnUpBlock2D", "UpBlock2D"))
        skip_last = up_widths[min(i + 1, count - 1)]
        for j in range(up_depth[i] + 1):
            at, stability = f"up_blocks.{i}", f"output_blocks.{number}"
            last = j == up_depth[i]
            entering = (before if j == 0 else up_widths[i]) + (skip_last if last else up_widths[i])
            width = up_widths[i]
            yield _resnet(f"{at}.resnets.{j}", f"{stability}.0", width, shortcut=entering != width)
            if attends:
                own = f"{at}.attentions.{j}", f"{stability}.1", width
                yield _transformer(*own, _at(up_transformers[i], j), linear)
            if last and i < count - 1:
                yield _sampler(f"{at}.upsamplers.0.conv", f"{stability}.{2 if attends else 1}.conv", width)
            number += 1
        before = up_widths[i]


def _per_block(value: Any, count: int) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value] * count


def _at(depth: Any, index: int) -> int:
    """The number of transformer layers of one attention: an int, or a list over the block's attentions."""
    return int(depth[index]) if isinstance(depth, (list, tuple)) else int(depth)


def _attends(kind: str, known: tuple[str, str]) -> bool:
    if kind not in known:
        raise BaseError(f"the UNet has a {kind}, which no supported family has.")
    return kind == known[0]
