"""The tables of a recipe that are the same whatever is registered, and the kinds of values that they hold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from lorasmith.diffusion.limits import MOST_STEPS
from lorasmith.diffusion.losses import LOSSES
from lorasmith.diffusion.timesteps import Sampling
from lorasmith.recipe.durations import Duration, read_duration
from lorasmith.schema import StrictTable

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


def read_tuple(value: object) -> object:
    """A list of TOML as a tuple; anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def _read_shift(value: object) -> object:
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0.01 <= value <= 100
    if not number and value != "size":
        raise ValueError('write a number from 0.01 to 100, or "size".')
    return value if value == "size" else float(value)  # type: ignore[arg-type]


def _read_loss(name: str) -> str:
    if name not in LOSSES:
        raise ValueError(f"unknown loss. {LOSSES.suggest(name)}")
    return name


Whole = Annotated[int, Field(ge=1)]
Steps = Annotated[int, Field(ge=1, le=MOST_STEPS)]
Rate = Annotated[float, Field(ge=0, le=10)]
Share = Annotated[float, Field(ge=0, le=1)]
Resolution = Annotated[tuple[int, int], BeforeValidator(_read_resolution)]
Interval = Annotated[Duration, BeforeValidator(read_duration), PlainSerializer(str)]
Texts = Annotated[tuple[str, ...], BeforeValidator(read_tuple)]
Factor = Annotated[float, Field(ge=0, le=100)]
Chance = Annotated[float, Field(ge=0, lt=1)]
Shift = Annotated[float | Literal["size"], BeforeValidator(_read_shift)]
LossName = Annotated[str, AfterValidator(_read_loss)]
LayerGroup = Literal["attention", "mlp", "conv", "time", "refiners"]


BlockPreset = Literal["flat", "cosine", "sine", "linear", "reverse_linear"]


class BucketTable(StrictTable):
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


class ConvTable(StrictTable):
    """[recipe.conv]: adapters on 3x3 convolutions too."""

    rank: Annotated[int, Field(ge=0, le=4096)] = Field(
        default=0, description="rank on 3x3 convolutions; 0 leaves them alone"
    )
    alpha: Annotated[float, Field(gt=0)] | None = Field(default=None, description="alpha there; by default as `rank`")
    tucker: bool = Field(default=False, description="a small core kernel between two 1x1 ones")


class RatesTable(StrictTable):
    """[recipe.lr]: learning rates."""

    unet: Rate = Field(default=5e-4, description="of the denoiser's adapter; 0 leaves the denoiser alone")
    text_encoder: Rate = Field(
        default=5e-5, description="of the text encoder's adapter; 0 leaves the text encoder alone"
    )
    text_encoder_2: Rate | None = Field(
        default=None, description="of SDXL's second text encoder; by default as `text_encoder`, 0 leaves it alone"
    )
    plus_ratio: Annotated[float, Field(ge=1, le=1024)] = Field(
        default=1, description="LoRA+: the factors next to the output learn so much faster; 1 is off"
    )

    @property
    def second(self) -> float:
        """The rate of the second text encoder."""
        return self.text_encoder if self.text_encoder_2 is None else self.text_encoder_2


class BlocksTable(StrictTable):
    """[recipe.blocks]: parts of the denoiser that learn at another rate, or with another rank.

    Blocks are IN00 ... IN11, M00, OUT00 ... OUT11 (SDXL: IN00 ... IN08, M00, OUT00 ... OUT08), as block weights of
    adapters count them; "IN" and "OUT" name all of a side. What is not named stays as it is elsewhere.
    """

    lr: dict[str, Factor] | BlockPreset = Field(
        default="flat",
        description='factors on lr.unet, e.g. { IN = 0.5, "OUT03" = 1 }; 0 leaves a block alone; or a curve over the '
        "depth: cosine, sine, linear, reverse_linear, flat",
    )
    rank: dict[str, Annotated[int, Field(ge=0, le=4096)]] = Field(
        default={}, description="rank of linear layers there, e.g. { M00 = 32 }; 0 leaves a block alone"
    )
    alpha: dict[str, Annotated[float, Field(gt=0)]] = Field(default={}, description="alpha there")


class FilterTable(StrictTable):
    """[recipe.filter]: single layers by their names in adapter files, with * and ?."""

    only: Texts = Field(default=(), description='adapt these alone, e.g. ["*attn2*"]; none means all')
    skip: Texts = Field(default=(), description='leave these alone, e.g. ["*to_out*", "lora_te*"]')


class DropoutTable(StrictTable):
    """[recipe.dropout]: parts of the adapter that are left out at random while it learns."""

    network: Chance = Field(default=0, description="of each inner value")
    rank: Chance = Field(default=0, description="of each rank, per row")
    module: Chance = Field(default=0, description="of a whole layer's adapter, per pass")


class AverageTable(StrictTable):
    """[recipe.average]: snapshots and the adapter hold an average of the steps, not the last step."""

    kind: Literal["none", "ema", "tail"] = Field(
        default="none", description="ema: newer steps count more; tail: all steps of the last part of the run alike"
    )
    decay: Annotated[float, Field(gt=0, lt=1)] = Field(default=0.99, description="what an ema keeps per step")
    share: Annotated[float, Field(gt=0, le=1)] = Field(default=0.25, description="the tail, as a share of the run")


class ValidationTable(StrictTable):
    """[recipe.validation]: images that are not trained on, to see whether the adapter only copies."""

    share: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0, description="share of the images that is held out; near-duplicates stay on one side; 0 is off"
    )
    every: Interval = Field(default=Duration(1, "epochs"), description="the loss on them is told after each such time")


class LossTable(StrictTable):
    """[recipe.loss]: how a difference counts, at which timestep, and where in the picture."""

    kind: LossName = Field(default="l2", description="huber forgives outliers")
    huber_c: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.1, description="where huber turns from square to size"
    )
    huber_scale: Annotated[float, Field(gt=0)] = Field(default=1, description="multiplies it (constant, exponential)")
    huber_schedule: Literal["constant", "exponential", "snr"] = Field(
        default="snr", description="how it changes over the timesteps"
    )
    min_snr_gamma: Annotated[float, Field(ge=0)] = Field(default=0, description="gamma of min-SNR weighting; 0 is off")
    debiased: bool = Field(default=False, description="debiased estimation: weights 1 / sqrt(SNR)")
    p2_gamma: Annotated[float, Field(ge=0, le=5)] = Field(
        default=0, description="P2 weighting 1 / (1 + SNR) ** gamma; 0 is off"
    )
    scale_v: bool = Field(default=False, description="v-prediction bases: losses as large as noise losses")
    v_like: Annotated[float, Field(ge=0)] = Field(default=0, description="adds so many v-like losses; 0 is off")
    mask: Literal["none", "alpha", "files"] = Field(
        default="none",
        description="learn only where the picture's alpha, or a mask file (white, in `mask_folder`), says so",
    )
    mask_folder: str = Field(default="masks", description="folder of PNG masks with the images' stems")
    mask_outside: Share = Field(default=0, description="weight of what the mask leaves out")
    mask_renormalise: bool = Field(
        default=False, description="divide by the mask's mean, so that small subjects count as much as large ones"
    )


class NoiseTable(StrictTable):
    """[recipe.noise]."""

    offset: Share = Field(default=0, description="strength of the noise offset; 0 is off")
    offset_random: bool = Field(default=False, description="times a uniform random number, per row")
    offset_adaptive: Annotated[float, Field(ge=-10, le=10)] = Field(
        default=0, description="the offset grows by this times the latent's mean per channel"
    )
    multires_iterations: Annotated[int, Field(ge=0, le=16)] = Field(
        default=0, description="layers of coarser and coarser noise (pyramid noise); 0 is off"
    )
    multires_discount: Annotated[float, Field(gt=0, le=1)] = Field(default=0.3, description="strength of each next one")
    ip_gamma: Share = Field(
        default=0, description="input perturbation: more noise than the base is asked for; 0 is off"
    )
    ip_random: bool = Field(default=False, description="times a uniform random number, per row")
    zero_terminal_snr: bool = Field(
        default=False, description="train as if the schedule ended in pure noise; for v-prediction bases"
    )


class TimestepsTable(StrictTable):
    """[recipe.timesteps]: which timesteps rows are trained at."""

    like: str = Field(
        default="",
        description="sampling, mean, std and shift of a trainer's own defaults for the base's family, "
        '"musubi-tuner", "kohya", "OneTrainer" ...; what is given beside it wins',
    )
    min: Annotated[int, Field(ge=0, le=999)] = Field(default=0, description="the first")
    max: Annotated[int, Field(ge=1, le=1000)] = Field(default=1000, description="the first that is not used any more")
    sampling: Sampling = Field(
        default="uniform", description="logit_normal prefers the middle; sigmoid is kohya's name for it with mean 0"
    )
    mean: Annotated[float, Field(ge=-5, le=5)] = Field(default=0, description="of logit_normal; above 0: noisier")
    std: Annotated[float, Field(gt=0, le=5)] = Field(
        default=1, description="of logit_normal and sigmoid (kohya's sigmoid_scale)"
    )
    shift: Shift = Field(
        default=1.0,
        description='above 1: noisier, t becomes s t / (1 + (s - 1) t) (kohya\'s discrete_flow_shift); "size": more, '
        "the larger the picture (flux_shift); for flows",
    )


class CaptionTable(StrictTable):
    """[recipe.caption]: what happens to captions at every visit."""

    shuffle: bool = Field(default=True, description="shuffle the tags behind the kept ones")
    keep_tokens: Annotated[int, Field(ge=0)] = Field(default=1, description="so many leading tags stay in place (T1)")
    keep_separator: str = Field(
        default="",
        description='e.g. "|||": what stands before it stays in place, wherever it is; wins over keep_tokens',
    )
    dropout: Share = Field(default=0, description="share of visits that see an empty caption")
    dropout_every: Annotated[int, Field(ge=0)] = Field(
        default=0, description="every so many epochs all captions are empty; 0 is off"
    )
    tag_dropout: Share = Field(default=0, description="share of tags, but for the kept ones, that a visit leaves out")
    weighted: bool = Field(default=False, description="(tag:1.2) in a caption weighs it; else it is text")
    max_tokens: Literal[75, 150, 225] = Field(default=75, description="longer captions are cut")


class AugmentTable(StrictTable):
    """[recipe.augment]: pictures that are new at every visit; latents are then not cached, which costs time."""

    colour: bool = Field(default=False, description="small changes of hue and brightness, at every second visit")
    random_crop: bool = Field(default=False, description="the crop of what does not fit the bucket is a random one")


class PreserveTable(StrictTable):
    """[recipe.preserve]: keeps the base as it was where the trigger is absent (C6)."""

    kind: Literal["none", "differential", "prior", "both", "images"] = Field(
        default="none",
        description="differential: the same noisy picture without the trigger shall give what the base gives; "
        "prior: the same for pictures that the base drew itself; both: half of each; images: class images of `folder` "
        "are learnt besides",
    )
    weight: Annotated[float, Field(ge=0)] = Field(default=1, description="weight of that loss")
    share: Share = Field(default=0.5, description="rows added for it, as a share of the batch")
    blank: Share = Field(
        default=0.25,
        description="share of these rows whose caption is empty: guidance leads away from what the empty prompt draws, "
        "and so multiplies a change of it; not for images",
    )
    prompts: Texts = Field(default=(), description="plain prompts to preserve besides the captions without the trigger")
    pictures: Whole = Field(
        default=32, description="pictures that the base draws for prior and both, or that images takes per bucket"
    )
    steps: Steps = Field(default=20, description="sampling steps of what the base draws for prior and both")
    folder: str = Field(
        default="reg", description="class images for kind = images, with captions or in a folder named `N_class words`"
    )

    @property
    def draws(self) -> bool:
        """Whether the base draws pictures for it."""
        return self.kind in ("prior", "both")


class StrengthTable(StrictTable):
    """[recipe.strength]: how strong the adapter acts while it learns; a range lets it act in proportion (C3)."""

    min: Annotated[float, Field(gt=0, le=4)] = Field(default=1, description="the least strength that is drawn")
    max: Annotated[float, Field(gt=0, le=4)] = Field(
        default=1, description="the highest, uniformly drawn; both 1: always 1, as other trainers do"
    )
    per: Literal["row", "pass"] = Field(
        default="row", description="row: every row draws its own; pass: one for all rows of a micro-batch"
    )
    preserved: Literal["drawn", "max"] = Field(
        default="drawn", description="the strength of rows that preserve the base: drawn as the others', or always max"
    )


class SampleTable(StrictTable):
    """[recipe.sample]: pictures drawn with every snapshot."""

    prompts: Texts = Field(default=(), description="prompts; none draws nothing")
    steps: Steps = Field(default=12, description="sampling steps")
    strength: float = Field(default=1.0, description="strength of the adapter")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=1, description="seed of the pictures")
