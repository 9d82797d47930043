"""The recipe: every setting of a training run, typed, with ranges. Unknown keys are refused (style habit 4).

A recipe is the preset of (kind of subject, family of the base), overlaid with `[recipe]` of lora.toml, overlaid
with `--set`. It is frozen; stages unpack what they need and know nothing of it otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import tomlkit
from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from lorasmith.errors import RecipeError
from lorasmith.project import Project
from lorasmith.recipe.buckets import BucketRules
from lorasmith.recipe.durations import Duration, read_duration
from lorasmith.recipe.family import family_of, locate_base
from lorasmith.recipe.overrides import nest_overrides
from lorasmith.recipe.presets import overlay, preset
from lorasmith.schema import TableModel, read_table

PIXEL_STEP = 8
"""Sides in pixels are multiples of this: the factor of the families' VAE."""


def _read_resolution(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("write a side or [width, height] in pixels.")
    sides = [value, value] if isinstance(value, int) else list(value) if isinstance(value, list | tuple) else None
    if sides is None or len(sides) != 2 or not all(isinstance(side, int) for side in sides):
        raise ValueError("write a side or [width, height] in pixels.")
    for side in sides:
        if side < 16 or side > 8192 or side % PIXEL_STEP:
            raise ValueError(f"sides are multiples of {PIXEL_STEP} from 16 to 8192.")
    return tuple(sides)


def _read_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Whole = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0, le=10)]
Share = Annotated[float, Field(ge=0, le=1)]
Resolution = Annotated[tuple[int, int], BeforeValidator(_read_resolution)]
Interval = Annotated[Duration, BeforeValidator(read_duration), PlainSerializer(str)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_read_tuple)]
LayerGroup = Literal["attention", "mlp", "conv", "time"]


class RecipeTable(TableModel):
    """A table of the recipe: no silent conversions ("16" is no number), no infinities."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class BucketTable(RecipeTable):
    """[recipe.bucket]: images are grouped by shape instead of being cut to one square."""

    enabled: bool = Field(default=True, description="group images by shape; false cuts all to `resolution`")
    min: Annotated[int, Field(ge=PIXEL_STEP)] | None = Field(
        default=None,
        description="smallest side in pixels; 256, or half the shorter side of `resolution` if that is less",
    )
    max: Annotated[int, Field(ge=PIXEL_STEP)] | None = Field(
        default=None, description="largest side in pixels; by default twice the longer side of `resolution`"
    )
    step: Annotated[int, Field(ge=PIXEL_STEP, multiple_of=PIXEL_STEP)] = Field(
        default=64, description="sides are multiples"
    )
    no_upscale: bool = Field(default=False, description="never enlarge an image; `min` and `max` are then ignored")


class ConvTable(RecipeTable):
    """[recipe.conv]: adapters on 3x3 convolutions too."""

    rank: Annotated[int, Field(ge=0, le=4096)] = Field(
        default=0, description="rank on 3x3 convolutions; 0 leaves them alone"
    )
    alpha: Annotated[float, Field(gt=0)] | None = Field(default=None, description="alpha there; by default as `rank`")
    tucker: bool = Field(default=False, description="a small core kernel between two 1x1 ones (lora, loha, lokr)")


class LokrTable(RecipeTable):
    """[recipe.lokr]: the two factors of a LoKr."""

    factor: Annotated[int, Field(ge=-1)] = Field(
        default=-1, description="most rows and columns of the first factor; -1: as square as can be"
    )
    full: bool = Field(default=False, description="do not decompose the second factor; rank is then not used")
    both: bool = Field(default=False, description="decompose the first factor too")


class RatesTable(RecipeTable):
    """[recipe.lr]: learning rates."""

    unet: Rate = Field(default=5e-4, description="of the denoiser's adapter; 0 leaves the denoiser alone")
    text_encoder: Rate = Field(
        default=5e-5, description="of the text encoder's adapter; 0 leaves the text encoder alone"
    )


class OptimizerTable(RecipeTable):
    """[recipe.optimizer]."""

    name: Literal["adamw", "adafactor"] = Field(
        default="adamw", description="adafactor runs with fixed rates, as kohya's args"
    )
    weight_decay: Share = Field(
        default=0.01, description="decoupled weight decay; adafactor's is 0 whatever stands here"
    )


class ScheduleTable(RecipeTable):
    """[recipe.schedule]: the learning rate over the run."""

    name: Literal["constant", "linear", "cosine", "cosine_with_restarts"] = Field(
        default="cosine", description="its shape"
    )
    cycles: Whole = Field(default=1, description="restarts of cosine_with_restarts")
    warmup: Annotated[float, Field(ge=0)] = Field(default=0, description="steps, or below 1 the share of the run")


class LossTable(RecipeTable):
    """[recipe.loss]."""

    min_snr_gamma: Annotated[float, Field(ge=0)] = Field(default=0, description="gamma of min-SNR weighting; 0 is off")


class NoiseTable(RecipeTable):
    """[recipe.noise]."""

    offset: Share = Field(default=0, description="strength of the noise offset; 0 is off")


class CaptionTable(RecipeTable):
    """[recipe.caption]: what happens to captions at every visit."""

    shuffle: bool = Field(default=True, description="shuffle the tags behind the kept ones")
    keep_tokens: Annotated[int, Field(ge=0)] = Field(default=1, description="so many leading tags stay in place (T1)")
    dropout: Share = Field(default=0, description="share of visits that see an empty caption")


class PreserveTable(RecipeTable):
    """[recipe.preserve]: keeps the base as it was where the trigger is absent (C6)."""

    kind: Literal["none", "differential", "prior"] = Field(
        default="none",
        description="differential: the same noisy picture without the trigger shall give what the base gives; "
        "prior: the same for pictures that the base drew itself",
    )
    weight: Annotated[float, Field(ge=0)] = Field(default=1, description="weight of that loss")
    share: Share = Field(default=0.5, description="rows added for it, as a share of the batch")
    prompts: Texts = Field(default=(), description="plain prompts to preserve besides the captions without the trigger")
    pictures: Whole = Field(default=32, description="pictures that the base draws for kind = prior")


class SampleTable(RecipeTable):
    """[recipe.sample]: pictures drawn with every snapshot."""

    prompts: Texts = Field(default=(), description="prompts; none draws nothing")
    steps: Whole = Field(default=12, description="sampling steps")
    strength: float = Field(default=1.0, description="strength of the adapter")
    seed: int = Field(default=1, description="seed of the pictures")


class Recipe(RecipeTable):
    """[recipe]: all settings of one run. Lengths: see `lorasmith.recipe.steps.solve_length` for who wins."""

    base: str = Field(default="doodle", description="the base model: doodle, or a folder")
    resolution: Resolution = Field(default=(512, 512), description="side or [width, height] in pixels; gives the area")
    bucket: BucketTable = BucketTable()
    batch_size: Whole = Field(default=4, description="images per micro-batch")
    accumulate: Whole = Field(default=1, description="micro-batches per step")
    epochs: Whole | None = Field(default=None, description="visits of the whole dataset")
    target_steps: Whole | None = Field(
        default=None,
        description="optimizer steps; together with `epochs` the repeats are solved to come closest (R7)",
    )
    algorithm: Literal["lora", "loha", "lokr", "dylora", "ia3", "norm"] = Field(
        default="lora", description="shape of the adapter; a LoCon is a lora with conv.rank"
    )
    dora: bool = Field(default=False, description="DoRA: learn magnitudes besides (lora, loha, lokr)")
    rank_stabilised: bool = Field(default=False, description="rsLoRA: alpha / sqrt(rank) instead of alpha / rank")
    norms: bool = Field(default=False, description="train the normalisation layers too")
    lokr: LokrTable = LokrTable()
    dylora_block: Whole = Field(default=1, description="ranks that a dylora trains together")
    rank: Annotated[int, Field(ge=1, le=4096)] = Field(default=16, description="rank on linear layers")
    alpha: Annotated[float, Field(gt=0)] = Field(default=8, description="the adapter acts with alpha / rank")
    conv: ConvTable = ConvTable()
    layers: Annotated[tuple[LayerGroup, ...], BeforeValidator(_read_tuple), Field(min_length=1)] = Field(
        default=("attention", "mlp"), description="which layers are adapted; convolutions also need conv.rank"
    )
    lr: RatesTable = RatesTable()
    optimizer: OptimizerTable = OptimizerTable()
    max_grad_norm: Annotated[float, Field(ge=0)] = Field(default=1, description="gradients are clipped to it; 0 is off")
    schedule: ScheduleTable = ScheduleTable()
    loss: LossTable = LossTable()
    noise: NoiseTable = NoiseTable()
    clip_skip: Annotated[int, Field(ge=1, le=12)] = Field(
        default=1, description="text encoder layer from the end (not SDXL)"
    )
    caption: CaptionTable = CaptionTable()
    flip: bool = Field(default=False, description="mirror every second visit at random")
    preserve: PreserveTable = PreserveTable()
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=42, description="a run is a function of it")
    save_every: Interval = Field(default=Duration(1, "epochs"), description="a snapshot after each such time")
    sample: SampleTable = SampleTable()

    @property
    def bucket_rules(self) -> BucketRules:
        short, long = min(self.resolution), max(self.resolution)
        return BucketRules(
            resolution=self.resolution,
            enabled=self.bucket.enabled,
            smallest=self.bucket.min if self.bucket.min is not None else min(256, short // 2),
            largest=self.bucket.max if self.bucket.max is not None else 2 * long,
            step=self.bucket.step,
            no_upscale=self.bucket.no_upscale,
        )

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        faults = []
        if self.epochs is None and self.target_steps is None:
            faults.append("give epochs, target_steps, or both.")
        if not self.lr.unet and not self.lr.text_encoder:
            faults.append("lr.unet and lr.text_encoder are both 0: nothing would be trained.")
        rules = self.bucket_rules
        if rules.enabled and not rules.no_upscale:
            smallest = rules.smallest - rules.smallest % rules.step
            largest = -(-rules.largest // rules.step) * rules.step
            if smallest > min(self.resolution):
                faults.append(f"bucket.min = {rules.smallest} is above resolution's {min(self.resolution)}.")
            if largest < max(self.resolution):
                faults.append(f"bucket.max = {rules.largest} is below resolution's {max(self.resolution)}.")
            if rules.step > min(self.resolution):
                faults.append(f"bucket.step = {rules.step} is above resolution's {min(self.resolution)}.")
        if self.dora and self.algorithm not in ("lora", "loha", "lokr"):
            faults.append(f"dora goes with lora, loha and lokr, not with {self.algorithm}.")
        if self.conv.tucker and (not self.conv.rank or self.algorithm not in ("lora", "loha", "lokr")):
            faults.append("conv.tucker needs conv.rank, and lora, loha or lokr.")
        if self.conv.alpha is not None and not self.conv.rank:
            faults.append("conv.alpha without conv.rank does nothing.")
        if faults:
            raise ValueError(" ".join(faults))
        return self


def read_recipe(project: Project, overrides: Mapping[str, str] | None = None) -> Recipe:
    """The project's resolved recipe. Raises RecipeError listing every fault.

    `overrides` are `--set` pairs relative to `[recipe]`, values as TOML.
    """
    given = overlay(dict(project.table("recipe")), nest_overrides(overrides or {}))
    base = given.get("base", project.lora.base)
    base = locate_base(base, project.root) if isinstance(base, str) else base
    family = family_of(base) if isinstance(base, str) else "sd1"
    values = overlay(preset(project.lora.subject, family), given) | {"base": base}
    where = project.where("recipe") + (" with --set" if overrides else "")
    return read_table(Recipe, values, where=where, error=RecipeError)


def recipe_values(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain TOML values, without the ones that are not set."""
    return _without_none(recipe.model_dump(mode="json"))


def write_recipe(recipe: Recipe) -> str:
    """The recipe as TOML text; `parse_recipe` gives an equal one."""
    return tomlkit.dumps(recipe_values(recipe))


def parse_recipe(text: str, *, where: str) -> Recipe:
    """The recipe that `write_recipe` wrote. Raises RecipeError."""
    try:
        values = tomlkit.parse(text).unwrap()
    except tomlkit.exceptions.TOMLKitError as fault:
        raise RecipeError(f"not valid TOML: {fault}.", where=where) from None
    return read_table(Recipe, values, where=where, error=RecipeError)


def differing_keys(one: Recipe, other: Recipe) -> list[str]:
    """The dotted keys in which two recipes differ, with both values: ``rank (8, now 16)``."""
    flat_one, flat_other = _flatten(recipe_values(one)), _flatten(recipe_values(other))
    keys = sorted(flat_one.keys() | flat_other.keys())
    return [
        f"{key} ({flat_one.get(key)!r}, now {flat_other.get(key)!r})"
        for key in keys
        if flat_one.get(key) != flat_other.get(key)
    ]


def _without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in table.items() if value is not None}
    return {key: _without_none(value) if isinstance(value, dict) else value for key, value in kept.items()}


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            result |= _flatten(value, f"{prefix}{key}.")
        else:
            result[prefix + key] = value
    return result
