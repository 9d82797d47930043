"""What does not go together in a recipe, in words; what depends on an entry of a registry comes from the entry."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.algorithms.algorithm import Algorithm
from lorasmith.diffusion.limits import GREATEST_SIDE, LEAST_SIDE
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.optimizers.schedules import SCHEDULES
from lorasmith.recipe.chosen import SWITCHES, trainable_algorithms
from lorasmith.recipe.fields import RecipeFields
from lorasmith.registry import Registry
from lorasmith.schema import StrictTable

GREATEST_ALPHA = 65504
"""Adapter files hold numbers of 16 bits: the largest of IEEE 754's binary16."""


def find_faults(recipe: RecipeFields) -> list[str]:
    """Everything that is wrong, a sentence each."""
    rules = (
        _run_faults,
        _text_faults,
        _algorithm_faults,
        _option_faults,
        _layer_faults,
        _alpha_faults,
        _rate_faults,
        _row_faults,
    )
    return [fault for rule in rules for fault in rule(recipe)]


def _run_faults(recipe: RecipeFields) -> Iterator[str]:
    """Of lengths, buckets and sizes."""
    if recipe.epochs is None and recipe.target_steps is None:
        yield "give epochs, target_steps, or both."
    if not recipe.lr.unet and not recipe.lr.text_encoder:
        yield "lr.unet and lr.text_encoder are both 0: nothing would be trained."
    rules = recipe.bucket_rules
    if rules.enabled and not rules.no_upscale:
        smallest = rules.smallest - rules.smallest % rules.step
        largest = -(-rules.largest // rules.step) * rules.step
        if smallest > min(recipe.resolution):
            yield f"bucket.min = {rules.smallest} is above resolution's {min(recipe.resolution)}."
        if largest < max(recipe.resolution):
            yield f"bucket.max = {rules.largest} is below resolution's {max(recipe.resolution)}."
        if rules.step > min(recipe.resolution):
            yield f"bucket.step = {rules.step} is above resolution's {min(recipe.resolution)}."
    step = recipe.family.pixel_step
    for key, sides in (("resolution", recipe.resolution), ("bucket.step", (rules.step,))):
        if any(side % step for side in sides):
            size = "x".join(map(str, sides))
            yield f"{key} = {size}: sides of pictures are multiples of {step} on {recipe.family.title}."
    if recipe.sample.prompts and not all(LEAST_SIDE <= side <= GREATEST_SIDE for side in recipe.resolution):
        size = "x".join(map(str, recipe.resolution))
        yield (
            f"sample.prompts: pictures have sides from {LEAST_SIDE} to {GREATEST_SIDE}, and resolution = {size} "
            "would be drawn."
        )
    if recipe.conv.alpha is not None and not recipe.conv.rank:
        yield "conv.alpha without conv.rank does nothing."
    if recipe.compile and recipe.checkpointing:
        yield "compile = true does not go with checkpointing = true: leave one of them away."
    if recipe.compile and not recipe.family.compiles:
        yield f"compile = true: {recipe.family.title} cannot be compiled as a whole. Leave it away."
    if recipe.blocks_to_swap and not recipe.checkpointing:
        yield (
            f"blocks_to_swap = {recipe.blocks_to_swap} needs checkpointing = true: without it the backward pass "
            "holds on to the weights of every block."
        )


def _text_faults(recipe: RecipeFields) -> Iterator[str]:
    """Why what text encoders give cannot be kept, where that is asked for."""
    if recipe.cache_text_encoder_outputs is not True:
        return
    if recipe.trains_text:
        yield (
            "cache_text_encoder_outputs = true needs text encoders that do not learn: set lr.text_encoder = 0 "
            "(and lr.text_encoder_2), or leave it away."
        )
    for key, varies in (("shuffle", recipe.caption.shuffle), ("tag_dropout", recipe.caption.tag_dropout)):
        if varies:
            off = "false" if key == "shuffle" else "0"
            yield (
                f"cache_text_encoder_outputs = true needs captions that are known before: caption.{key} makes new ones "
                f"at every visit. Set caption.{key} = {off}, or leave it away."
            )


def _acting(recipe: RecipeFields) -> list[Algorithm]:
    """The recipe's algorithm, and what its switches put over it or in its place."""
    chosen = ALGORITHMS[recipe.algorithm]
    names = ["dora"] * recipe.dora + [chosen.core] * bool(recipe.conv.tucker and recipe.conv.rank and chosen.core)
    return [chosen, *(ALGORITHMS[name] for name in names)]


def _algorithm_faults(recipe: RecipeFields) -> Iterator[str]:
    """What does not go together with the algorithm."""
    name, chosen, acting = recipe.algorithm, ALGORITHMS[recipe.algorithm], _acting(recipe)
    if recipe.dora and "dora" not in chosen.switches:
        yield f"dora goes with {_listed(trainable_algorithms('dora'))}, not with {name}."
    if recipe.conv.tucker and (not recipe.conv.rank or "conv.tucker" not in chosen.switches):
        yield f"conv.tucker needs conv.rank, and {_listed(trainable_algorithms('conv.tucker'), 'or')}."
    wrong = [
        switch
        for switch in SWITCHES
        if switch not in ("dora", "conv.tucker")
        and not _is_default(recipe, switch)
        and any(switch not in each.switches for each in acting)
    ]
    if "lr.plus_ratio" in wrong:
        wrong.remove("lr.plus_ratio")
        yield f"lr.plus_ratio is for {_listed(trainable_algorithms('lr.plus_ratio'))}, not for {name}."
    by_names: dict[str, list[str]] = {}
    for switch in wrong:
        by_names.setdefault(_listed(trainable_algorithms(switch)), []).append(switch)
    for names, switches in by_names.items():
        yield f"{', '.join(switches)}: for plain {names} only."
    if recipe.blocks.rank and not chosen.ranked:
        yield f"blocks.rank: {name} has no rank."


def _option_faults(recipe: RecipeFields) -> Iterator[str]:
    """Options that are another optimizer's or schedule's than the chosen one's."""
    tables: Sequence[tuple[str, StrictTable, str, Registry[Any]]] = (
        ("optimizer", recipe.optimizer, recipe.optimizer.name, OPTIMIZERS),
        ("schedule", recipe.schedule, recipe.schedule.name, SCHEDULES),
    )
    for word, table, chosen, registry in tables:
        for key in type(table).model_fields:
            owners = [name for name, entry in registry.items() if key in entry.options.model_fields]
            if not owners or chosen in owners or key in registry[owners[0]].options.tolerated:
                continue
            if not _is_default(table, key):
                alone = f"{word}.{key} is {owners[0]}'s, not {chosen}'s."
                yield alone if len(owners) == 1 else f"{word}.{key}: {chosen} has none."


def _layer_faults(recipe: RecipeFields) -> Iterator[str]:
    """Of layers and blocks."""
    if recipe.rank_by_timestep > recipe.rank:
        yield f"rank_by_timestep = {recipe.rank_by_timestep} is above rank = {recipe.rank}."
    if recipe.rank_by_timestep and not recipe.lr.unet:
        yield "rank_by_timestep concerns the denoiser, which lr.unet = 0 leaves alone."
    if (recipe.blocks.lr != "flat" or recipe.blocks.rank or recipe.blocks.alpha) and not recipe.lr.unet:
        yield "blocks are the denoiser's, which lr.unet = 0 leaves alone."
    rates = recipe.blocks.lr if isinstance(recipe.blocks.lr, dict) else {}
    named = {**rates, **recipe.blocks.rank, **recipe.blocks.alpha}
    kinds = recipe.family.block_kinds if named else ()
    for name in named:
        if not re.fullmatch(rf"({'|'.join(kinds)})(\d\d)?", name):
            known = ", ".join(f"{kind}, {kind}00 ..." for kind in kinds)
            yield f'blocks: "{name}" is no block of {recipe.family.title}; blocks are {known}.'


def _alpha_faults(recipe: RecipeFields) -> Iterator[str]:
    """Of alphas that a file cannot hold."""
    alphas = [("alpha", recipe.alpha, recipe.rank)]
    alphas += [("conv.alpha", recipe.conv.alpha, recipe.conv.rank)] if recipe.conv.alpha is not None else []
    for block, alpha in recipe.blocks.alpha.items():
        alphas.append((f"blocks.alpha of {block}", alpha, recipe.blocks.rank.get(block, recipe.rank)))
    for name, alpha, rank in alphas:
        held = alpha * math.sqrt(rank) if recipe.rank_stabilised else alpha
        if held > GREATEST_ALPHA:
            times = f" times the root of rank = {rank} (rank_stabilised)" if recipe.rank_stabilised else ""
            yield f"{name} = {alpha:g}{times} is above {GREATEST_ALPHA}, the largest that an adapter file holds."


def _rate_faults(recipe: RecipeFields) -> Iterator[str]:
    """Of learning rates and what averages."""
    name, rates = recipe.optimizer.name, {recipe.lr.unet, recipe.lr.text_encoder, recipe.lr.second} - {0}
    entry = OPTIMIZERS[name]
    if entry.one_rate and (len(rates) > 1 or recipe.lr.plus_ratio != 1 or recipe.blocks.lr != "flat"):
        yield (
            f"{name} has one rate for all: give lr.unet and lr.text_encoder the same (1), or 0, and leave "
            "lr.plus_ratio and blocks.lr alone."
        )
    if recipe.average.kind != "none" and entry.averages:
        yield f"average: {name} averages by itself."


def _row_faults(recipe: RecipeFields) -> Iterator[str]:
    """Of rows: timesteps, masks, weights, noise."""
    if recipe.timesteps.min >= recipe.timesteps.max:
        yield f"timesteps.min = {recipe.timesteps.min} is not below timesteps.max = {recipe.timesteps.max}."
    if recipe.timesteps.mean and recipe.timesteps.sampling == "sigmoid":
        yield "timesteps.mean is logit_normal's, not sigmoid's."
    if recipe.loss.mask == "none" and (recipe.loss.mask_outside or recipe.loss.mask_renormalise):
        yield "loss.mask_outside and loss.mask_renormalise need loss.mask."
    if recipe.loss.min_snr_gamma and recipe.loss.debiased:
        yield "loss.min_snr_gamma and loss.debiased weigh the same thing: choose one."
    if recipe.strength.min > recipe.strength.max:
        yield f"strength.min = {recipe.strength.min:g} is above strength.max = {recipe.strength.max:g}."
    if recipe.strength.min == recipe.strength.max and (recipe.strength.per, recipe.strength.preserved) != (
        "row",
        "drawn",
    ):
        yield "strength.per and strength.preserved need a range: strength.min below strength.max."
    if recipe.noise.offset_random and not recipe.noise.offset:
        yield "noise.offset_random without noise.offset does nothing."
    if recipe.noise.ip_random and not recipe.noise.ip_gamma:
        yield "noise.ip_random without noise.ip_gamma does nothing."


def _is_default(table: StrictTable, path: str) -> bool:
    """Whether a dotted key has the value that it has by default."""
    *tables, key = path.split(".")
    for name in tables:
        table = getattr(table, name)
    return bool(getattr(table, key) == type(table).model_fields[key].get_default(call_default_factory=True))


def _listed(names: Sequence[str], word: str = "and") -> str:
    """``a, b and c``."""
    return f" {word} ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
