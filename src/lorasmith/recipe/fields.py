"""The keys of `[recipe]`, typed, with ranges, and what follows from them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.algorithms.algorithm import Options
from lorasmith.bases.detection import cost_of, family_of
from lorasmith.bases.families.cost import FamilyCost
from lorasmith.bases.families.family import Family
from lorasmith.bases.precision import Precision, Weights
from lorasmith.recipe.buckets import BucketRules
from lorasmith.recipe.chosen import AlgorithmName, OptimizerTable, ScheduleTable
from lorasmith.recipe.durations import Duration
from lorasmith.recipe.helper import count_numbers
from lorasmith.recipe.tables import (
    AugmentTable,
    AverageTable,
    BlocksTable,
    BucketTable,
    CaptionTable,
    ConvTable,
    DropoutTable,
    FilterTable,
    Interval,
    LayerGroup,
    LossTable,
    NoiseTable,
    PreserveTable,
    RatesTable,
    Resolution,
    SampleTable,
    StrengthTable,
    TimestepsTable,
    ValidationTable,
    Whole,
    read_tuple,
)
from lorasmith.schema import StrictTable


class RecipeFields(StrictTable):
    """All settings of one run, but for the options of what is chosen by name."""

    base: str = Field(
        default="doodle", description="the base model: doodle, a checkpoint file, a diffusers folder or a hub id"
    )
    precision: Precision = Field(
        default="auto",
        description="numbers of the frozen base; what is trained is always fp32. auto: bf16 on a GPU that has it, "
        "else fp32",
    )
    weights: Weights = Field(
        default="full",
        description="the frozen weights of denoiser and text encoders in memory: full: as `precision` says; int8, fp8: "
        "a byte each, widened where they are used",
    )
    prediction: Literal["auto", "epsilon", "v_prediction"] = Field(
        default="auto", description="what the base predicts, where its file tells it wrong"
    )
    resolution: Resolution = Field(default=(512, 512), description="side or [width, height] in pixels; gives the area")
    bucket: BucketTable = BucketTable()
    batch_size: Whole = Field(default=4, description="images per micro-batch")
    accumulate: Whole = Field(default=1, description="micro-batches per step")
    epochs: Whole | None = Field(default=None, description="visits of the whole dataset")
    target_steps: Whole | None = Field(
        default=None,
        description="optimizer steps; together with `epochs` the repeats are solved to come closest (R7)",
    )
    algorithm: AlgorithmName = Field(
        default="lora", description="shape of the adapter (a LoCon is a lora with conv.rank)"
    )
    dora: bool = Field(default=False, description="DoRA: learn magnitudes besides")
    rank_stabilised: bool = Field(default=False, description="rsLoRA: alpha / sqrt(rank) instead of alpha / rank")
    norms: bool = Field(default=False, description="train the normalisation layers too")
    rank: Annotated[int, Field(ge=1, le=4096)] = Field(default=16, description="rank on linear layers")
    alpha: Annotated[float, Field(gt=0)] = Field(default=8, description="the adapter acts with alpha / rank")
    rank_by_timestep: Annotated[int, Field(ge=0, le=4096)] = Field(
        default=0,
        description="T-LoRA: at the noisiest timestep only so many ranks learn, at the cleanest all; 0 is off",
    )
    conv: ConvTable = ConvTable()
    layers: Annotated[tuple[LayerGroup, ...], BeforeValidator(read_tuple), Field(min_length=1)] = Field(
        default=("attention", "mlp"), description="which layers are adapted; convolutions also need conv.rank"
    )
    filter: FilterTable = FilterTable()
    blocks: BlocksTable = BlocksTable()
    dropout: DropoutTable = DropoutTable()
    lr: RatesTable = RatesTable()
    optimizer: OptimizerTable = OptimizerTable()
    max_grad_norm: Annotated[float, Field(ge=0)] = Field(default=1, description="gradients are clipped to it; 0 is off")
    max_weight_norm: Annotated[float, Field(ge=0)] = Field(
        default=0, description="a layer's change is scaled down to this norm after each step; 0 is off"
    )
    delta_norm: Annotated[float, Field(ge=0)] = Field(
        default=0, description="weight of the squared norm of all changes in the loss: less leakage; 0 is off"
    )
    schedule: ScheduleTable = ScheduleTable()
    average: AverageTable = AverageTable()
    loss: LossTable = LossTable()
    noise: NoiseTable = NoiseTable()
    timesteps: TimestepsTable = TimestepsTable()
    clip_skip: Annotated[int, Field(ge=1, le=12)] = Field(
        default=1, description="text encoder layer from the end (not SDXL)"
    )
    caption: CaptionTable = CaptionTable()
    flip: bool = Field(default=False, description="mirror every second visit at random")
    augment: AugmentTable = AugmentTable()
    preserve: PreserveTable = PreserveTable()
    strength: StrengthTable = StrengthTable()
    checkpointing: bool = Field(
        default=False, description="compute activations again instead of keeping them: less memory, a third slower"
    )
    blocks_to_swap: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="so many blocks of the denoiser wait in the host's memory and come to the GPU in their turn; needs "
        "checkpointing; at most two of them are there at once",
    )
    compile: bool = Field(
        default=False,
        description="let torch.compile make the denoiser's passes anew, the adapter with it: minutes at the start and "
        "at every new size of pictures, for less time a step on a GPU; not with checkpointing",
    )
    cache_text_encoder_outputs: bool | Literal["auto"] = Field(
        default="auto",
        description="encode all captions before the first step; the text encoders then leave the GPU, and come back "
        "for texts that are new. auto: where they do not learn and captions are neither shuffled nor thinned out",
    )
    validation: ValidationTable = ValidationTable()
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=42, description="a run is a function of it")
    save_every: Interval = Field(default=Duration(1, "epochs"), description="a snapshot after each such time")
    keep_last: Annotated[int, Field(ge=0)] = Field(default=0, description="so many snapshots are kept; 0 keeps all")
    init: str = Field(default="", description="an adapter file of the same algorithm, whose weights are the start (R3)")
    training_adapter: str = Field(
        default="",
        description="an adapter file, or OWNER/REPOSITORY/FILE.safetensors on a hub, that acts on the base while it is "
        "trained on and is no part of what is learnt or drawn: Z-Image-Turbo's training adapter",
    )
    fit_memory: bool = Field(
        default=False, description="where memory does not suffice, go on with fewer rows at once: slower, same result"
    )
    private: bool = Field(
        default=False, description="files tell only what readers need: no captions, folders, dates, settings, picture"
    )
    tensorboard: bool = Field(default=False, description="write TensorBoard's files too (extra: tensorboard)")
    sample: SampleTable = SampleTable()

    @cached_property
    def family(self) -> Family:
        """The family of the base, looked up once."""
        return family_of(self.base)

    @cached_property
    def cost(self) -> FamilyCost:
        """What the base costs, by its family and its size, looked up once."""
        return cost_of(self.base)

    @cached_property
    def helper_numbers(self) -> int:
        """The numbers of the training adapter, looked up once; those of a file beside the project are told when the
        recipe is read."""
        return count_numbers(self.training_adapter, Path())

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

    @property
    def options(self) -> Options:
        """The algorithm's own options."""
        kind = ALGORITHMS[self.algorithm].options
        found = getattr(self, self.algorithm, None)
        return found if isinstance(found, kind) else kind()

    @property
    def stated_prediction(self) -> Literal["epsilon", "v_prediction"] | None:
        """What the base predicts, where the recipe says so."""
        return None if self.prediction == "auto" else self.prediction

    @property
    def trains_text(self) -> bool:
        """Whether any text encoder gets an adapter."""
        return bool(self.lr.text_encoder or self.lr.second)

    @property
    def text_is_fixed(self) -> bool:
        """Whether each text means one thing all along, and all are known before the first step."""
        return not (self.trains_text or self.caption.shuffle or self.caption.tag_dropout)

    @property
    def caches_text(self) -> bool:
        """Whether all texts are encoded before the first step, and the text encoders leave the device then."""
        return self.text_is_fixed and self.cache_text_encoder_outputs is not False
