"""From a recipe to what every stage of training is given. Config stops here."""

from __future__ import annotations

from functools import partial

from lorasmith.bases.text.options import TextOptions
from lorasmith.diffusion.losses import WEIGHTS, ErrorMeasure, TimestepWeights
from lorasmith.diffusion.timesteps import SizeShift, TimestepSampling
from lorasmith.recipe.estimates import work_per_step
from lorasmith.recipe.recipe import Recipe
from lorasmith.training.settings import (
    AverageSettings,
    CaptionSettings,
    DropoutSettings,
    InputSettings,
    LayerSettings,
    LossSettings,
    MemorySettings,
    NetworkSettings,
    OptimizerSettings,
    PreserveSettings,
    RowSettings,
    RunSettings,
    SampleSettings,
    SaveSettings,
    ScheduleSettings,
    StrengthSettings,
    TextsSettings,
)


def unpack(recipe: Recipe) -> RunSettings:
    """What every stage is given."""
    average, schedule = recipe.average, recipe.schedule
    return RunSettings(
        seed=recipe.seed,
        batch_size=recipe.batch_size,
        accumulate=recipe.accumulate,
        text=unpack_text(recipe),
        texts=TextsSettings(recipe.text_is_fixed, recipe.caches_text),
        inputs=_inputs(recipe),
        rows=_rows(recipe),
        network=unpack_network(recipe),
        layers=unpack_layers(recipe),
        loss=_loss(recipe),
        optimizer=_optimizer(recipe),
        schedule=ScheduleSettings(schedule.name, schedule.warmup, schedule.options),
        average=AverageSettings(average.kind, average.decay, average.share),
        saving=_saving(recipe),
        memory=_memory(recipe),
        compiles=recipe.compile,
        work=partial(work_per_step, recipe),
    )


def unpack_text(recipe: Recipe) -> TextOptions:
    """How captions are read."""
    caption = recipe.caption
    return TextOptions("kohya", caption.max_tokens, "kohya" if caption.weighted else "none", recipe.clip_skip)


def _inputs(recipe: Recipe) -> InputSettings:
    table = recipe.preserve
    return InputSettings(
        seed=recipe.seed,
        flip=recipe.flip,
        colour=recipe.augment.colour,
        random_crop=recipe.augment.random_crop,
        mask_outside=None if recipe.loss.mask == "none" else recipe.loss.mask_outside,
        preserve=PreserveSettings(
            any=table.kind != "none",
            draws=table.draws,
            folder=table.folder if table.kind == "images" else None,
            prompts=table.prompts,
            pictures=table.pictures,
            steps=table.steps,
        ),
    )


def _rows(recipe: Recipe) -> RowSettings:
    from lorasmith.diffusion.noise import NoiseForm

    caption, span, preserve, strength = recipe.caption, recipe.timesteps, recipe.preserve, recipe.strength
    return RowSettings(
        seed=recipe.seed,
        flip=recipe.flip,
        random_crop=recipe.augment.random_crop,
        noise=NoiseForm(**recipe.noise.model_dump(exclude={"zero_terminal_snr"})),
        timesteps=TimestepSampling(
            span.min, span.max, span.sampling, span.mean, span.std, SizeShift() if span.shift == "size" else span.shift
        ),
        caption=CaptionSettings(
            caption.shuffle,
            caption.keep_tokens,
            caption.keep_separator,
            caption.dropout,
            caption.dropout_every,
            caption.tag_dropout,
        ),
        preserved_share=0.0 if preserve.kind == "none" or not preserve.weight else preserve.share,
        blank=preserve.blank if preserve.kind != "images" else 0.0,
        preserves_own=preserve.kind == "both",
        strength=StrengthSettings(
            strength.min, strength.max, strength.per == "pass", preserves_at_most=strength.preserved == "max"
        ),
    )


def unpack_network(recipe: Recipe) -> NetworkSettings:
    """The adapter that is trained."""
    return NetworkSettings(
        algorithm=recipe.algorithm,
        rank=recipe.rank,
        alpha=recipe.alpha,
        conv_rank=recipe.conv.rank,
        conv_alpha=recipe.conv.alpha,
        groups=recipe.layers,
        options=recipe.options,
        tucker=recipe.conv.tucker,
        dora=recipe.dora,
        rank_stabilised=recipe.rank_stabilised,
        norms=recipe.norms,
        trains_text=recipe.trains_text,
        init=recipe.init,
        beneath=recipe.training_adapter,
    )


def unpack_layers(recipe: Recipe) -> LayerSettings:
    """Which layers learn how fast."""
    rates, blocks = recipe.lr, recipe.blocks
    return LayerSettings(
        unet=rates.unet,
        text_encoder=rates.text_encoder,
        text_encoder_2=rates.second,
        plus_ratio=rates.plus_ratio,
        only=recipe.filter.only,
        skip=recipe.filter.skip,
        block_rates=blocks.lr,
        block_ranks=blocks.rank,
        block_alphas=blocks.alpha,
    )


def _loss(recipe: Recipe) -> LossSettings:
    loss, dropout = recipe.loss, recipe.dropout
    return LossSettings(
        measure=ErrorMeasure(loss.kind, loss.huber_c, loss.huber_scale, loss.huber_schedule),
        weights=TimestepWeights({name: getattr(loss, name) for name in WEIGHTS}),
        renormalises=loss.mask_renormalise,
        zero_terminal_snr=recipe.noise.zero_terminal_snr,
        trains_text=recipe.trains_text,
        preserve_weight=recipe.preserve.weight,
        preserves_base=recipe.preserve.kind != "images",
        dropout=DropoutSettings(dropout.network, dropout.rank, dropout.module, recipe.rank_by_timestep),
        checkpointing=recipe.checkpointing,
    )


def _optimizer(recipe: Recipe) -> OptimizerSettings:
    table = recipe.optimizer
    return OptimizerSettings(
        name=table.name,
        options=table.options,
        max_grad_norm=recipe.max_grad_norm,
        max_weight_norm=recipe.max_weight_norm,
        delta_norm=recipe.delta_norm,
    )


def _saving(recipe: Recipe) -> SaveSettings:
    sample = recipe.sample
    return SaveSettings(
        every=recipe.save_every,
        keep_last=recipe.keep_last,
        validated_every=recipe.validation.every,
        samples=SampleSettings(sample.prompts, sample.steps, sample.strength, sample.seed, recipe.resolution),
        private=recipe.private,
        tensorboard=recipe.tensorboard,
    )


def _memory(recipe: Recipe) -> MemorySettings:
    return MemorySettings(
        fits=recipe.fit_memory,
        batch_size=recipe.batch_size,
        accumulate=recipe.accumulate,
        checkpointing=recipe.checkpointing,
        swaps=bool(recipe.blocks_to_swap),
        compressed=recipe.weights != "full",
        smallest_side=min(recipe.resolution),
        trains_text=bool(recipe.lr.text_encoder),
        convolutions=bool(recipe.conv.rank),
        preserves=recipe.preserve.kind != "none",
    )
