"""What each stage of training is given, in plain values: a recipe, unpacked once a run, at the door.

Nothing behind the door knows what a recipe is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lorasmith.adapters.algorithms.algorithm import Options
from lorasmith.bases.text.options import TextOptions
from lorasmith.diffusion.losses import ErrorMeasure, TimestepWeights
from lorasmith.diffusion.timesteps import TimestepSampling
from lorasmith.optimizers.optimizer import OptimizerOptions
from lorasmith.optimizers.schedules.schedule import ScheduleOptions
from lorasmith.recipe.buckets import Size
from lorasmith.recipe.durations import Duration

if TYPE_CHECKING:
    from lorasmith.diffusion.noise import NoiseForm


@dataclass(frozen=True)
class TextsSettings:
    """`frozen`: no text encoder learns, and captions do not vary, so that each text means one thing all along.
    `cached`: all are encoded before the first step, and the encoders leave the device."""

    frozen: bool
    cached: bool


@dataclass(frozen=True)
class CaptionSettings:
    """What becomes of a caption at a visit; `dropout_every` so many epochs all are empty (0: never)."""

    shuffle: bool
    keep_tokens: int
    keep_separator: str
    dropout: float
    dropout_every: int
    tag_dropout: float


@dataclass(frozen=True)
class StrengthSettings:
    """The adapter's strength while it learns, drawn uniformly from `least` to `most`: for each row, or `by_pass` one
    for all rows of a micro-batch. `preserves_at_most`: rows that preserve the base have it at `most`."""

    least: float = 1.0
    most: float = 1.0
    by_pass: bool = False
    preserves_at_most: bool = False

    @property
    def any(self) -> bool:
        """Whether it is anything but 1."""
        return (self.least, self.most) != (1.0, 1.0)


@dataclass(frozen=True)
class RowSettings:
    """What rows are made like: `preserved_share` of a batch is added to preserve the base, `blank` of it with an empty
    caption; `preserves_own`: the first half of it are the batch's own pictures."""

    seed: int
    flip: bool
    random_crop: bool
    noise: NoiseForm
    timesteps: TimestepSampling
    caption: CaptionSettings
    preserved_share: float
    blank: float
    preserves_own: bool
    strength: StrengthSettings = StrengthSettings()


@dataclass(frozen=True)
class PreserveSettings:
    """What preserves the base: class images of `folder` (None: none), or pictures that the base `draws`, so many
    `pictures` in `steps`; `prompts` without the trigger, which `pooled` ones are joined to."""

    any: bool
    draws: bool
    folder: str | None
    prompts: tuple[str, ...]
    pictures: int
    steps: int


@dataclass(frozen=True)
class InputSettings:
    """How images become latents, and masks count; `mask_outside` None: no masks."""

    seed: int
    flip: bool
    colour: bool
    random_crop: bool
    mask_outside: float | None
    preserve: PreserveSettings

    @property
    def cached(self) -> bool:
        """Whether an image looks alike at every visit, so that its latent can be kept."""
        return not (self.colour or self.random_crop)


@dataclass(frozen=True)
class DropoutSettings:
    """Shares of the adapter that are left out at random; `least_rank` of T-LoRA."""

    network: float
    rank: float
    module: float
    least_rank: int

    @property
    def any(self) -> bool:
        return bool(self.network or self.rank or self.module or self.least_rank)


@dataclass(frozen=True)
class LossSettings:
    """The loss of a row and what it is weighed with. `preserves_base`: preserved rows shall give what the base gives,
    else what is in them."""

    measure: ErrorMeasure
    weights: TimestepWeights
    renormalises: bool
    zero_terminal_snr: bool
    trains_text: bool
    preserve_weight: float
    preserves_base: bool
    dropout: DropoutSettings
    checkpointing: bool


@dataclass(frozen=True)
class LayerSettings:
    """Learning rates by part of the base, and layers and blocks with a word of their own (see `LayerChoice`)."""

    unet: float
    text_encoder: float
    text_encoder_2: float
    plus_ratio: float
    only: tuple[str, ...]
    skip: tuple[str, ...]
    block_rates: Mapping[str, float] | str
    block_ranks: Mapping[str, int]
    block_alphas: Mapping[str, float]


@dataclass(frozen=True)
class NetworkSettings:
    """The adapter that is trained; `init` is the file that it starts from, `beneath` one that acts on the base in the
    meantime ("" for none)."""

    algorithm: str
    rank: int
    alpha: float
    conv_rank: int
    conv_alpha: float | None
    groups: tuple[str, ...]
    options: Options
    tucker: bool
    dora: bool
    rank_stabilised: bool
    norms: bool
    trains_text: bool
    init: str
    beneath: str


@dataclass(frozen=True)
class OptimizerSettings:
    """Steps and what holds them back."""

    name: str
    options: OptimizerOptions
    max_grad_norm: float
    max_weight_norm: float
    delta_norm: float


@dataclass(frozen=True)
class ScheduleSettings:
    """The learning rate over the run."""

    name: str
    warmup: float
    options: ScheduleOptions


@dataclass(frozen=True)
class AverageSettings:
    """What a snapshot holds instead of the last step."""

    kind: str
    decay: float
    share: float


@dataclass(frozen=True)
class SampleSettings:
    """Pictures that are drawn with every snapshot; none without prompts."""

    prompts: tuple[str, ...]
    steps: int
    strength: float
    seed: int
    size: Size


@dataclass(frozen=True)
class SaveSettings:
    """What a run leaves along the way, and when. `private`: no picture in the file's header."""

    every: Duration
    keep_last: int
    validated_every: Duration
    samples: SampleSettings
    private: bool
    tensorboard: bool


@dataclass(frozen=True)
class MemorySettings:
    """What decides how much memory a step takes, for the advice where it does not suffice; `fits`: go on with fewer
    rows at once then."""

    fits: bool
    batch_size: int
    accumulate: int
    checkpointing: bool
    swaps: bool
    compressed: bool
    smallest_side: int
    trains_text: bool
    convolutions: bool
    preserves: bool


@dataclass(frozen=True)
class RunSettings:
    """A whole run's. `compiles`: passes go through torch.compile. `work` gives the row-pixels of a micro-batch by its
    rows and their pixels."""

    seed: int
    batch_size: int
    accumulate: int
    text: TextOptions
    texts: TextsSettings
    inputs: InputSettings
    rows: RowSettings
    network: NetworkSettings
    layers: LayerSettings
    loss: LossSettings
    optimizer: OptimizerSettings
    schedule: ScheduleSettings
    average: AverageSettings
    saving: SaveSettings
    memory: MemorySettings
    compiles: bool
    work: Callable[[int, float], float]
