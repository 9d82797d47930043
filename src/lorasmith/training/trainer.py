"""One adapter in training: factors, optimizer and the arithmetic of a step. Knows no files and no events."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lorasmith.adapters.adapter import Adapter, new_adapter
from lorasmith.adapters.algorithms.algorithm import Form
from lorasmith.adapters.bank import AdapterBank
from lorasmith.bases.base import Base
from lorasmith.diffusion.noise import key_generator
from lorasmith.errors import RecipeError, TrainingError
from lorasmith.recipe.recipe import Recipe
from lorasmith.training.batches import Batch
from lorasmith.training.conditioning import Conditioner
from lorasmith.training.objective import Objective
from lorasmith.training.optimizers import FlatGroup, build_optimizer, clip_gradients
from lorasmith.training.rates import RateSchedule
from lorasmith.training.rows import RowSource

EXPLODED = 10.0
"""A loss that predicting nothing at all would give about a tenth of."""
_HINT = "Lower lr.unet and lr.text_encoder, then start again; the snapshots so far are kept."


class Trainer:
    """Trains one adapter on a frozen base. `step` counts finished steps; between steps all is consistent."""

    def __init__(self, base: Base, recipe: Recipe, rows: RowSource, steps: int, conditioner: Conditioner) -> None:
        self._recipe = recipe
        self._rows = rows
        self._base = base
        self._bank = AdapterBank(base, [_fresh_adapter(base, recipe)], trainable=True)
        factors = {"unet": self._bank.factors("unet"), "text_encoder": self._bank.factors("te")}
        self._groups = [FlatGroup(name, some) for name, some in factors.items() if some]
        self._optimizer = build_optimizer(
            recipe.optimizer.name, self._groups, weight_decay=recipe.optimizer.weight_decay
        )
        self._objective = Objective(
            base,
            self._bank,
            conditioner,
            trains_text=bool(recipe.lr.text_encoder),
            min_snr_gamma=recipe.loss.min_snr_gamma,
            preserve_weight=recipe.preserve.weight,
        )
        self._schedule = RateSchedule(recipe.schedule.name, steps, recipe.schedule.warmup, recipe.schedule.cycles)
        self.step = 0
        self.is_whole = True
        """False while a step changes the factors: then nothing may be saved."""

    @property
    def optimizer_description(self) -> str:
        return self._optimizer.description

    def rates(self) -> dict[str, float]:
        """The learning rates of the next step, by group."""
        factor = self._schedule.factor(self.step)
        full = {"unet": self._recipe.lr.unet, "text_encoder": self._recipe.lr.text_encoder}
        return {group.name: factor * full[group.name] for group in self._groups}

    def advance(self, batches: Sequence[Batch], epoch: int) -> float:
        """One optimizer step over micro-batches; the mean loss of the rows to learn.

        Raises TrainingError when the loss is not finite or has exploded; the factors are then as before the step.
        """
        losses: list[Tensor] = []
        self._bank.vary(key_generator(self._recipe.seed, "variation", self.step))
        with self._bank.attached():
            for batch in batches:
                rows = self._rows.read(batch, epoch)
                loss = self._objective.loss(rows)
                (loss.total / len(batches)).backward()  # type: ignore[no-untyped-call]
                losses.append(loss.learned.detach())
        norm = clip_gradients(self._groups, self._recipe.max_grad_norm)
        mean = float(torch.stack(losses).mean())
        self._check(mean, float(norm))
        self.is_whole = False
        self._optimizer.step(self.rates())
        self.step += 1
        self.is_whole = True
        for group in self._groups:
            group.grad.zero_()
        return mean

    def adapter(self, name: str) -> Adapter:
        """The adapter as it is now; a copy."""
        return self._bank.adapter(0, name, {})

    def tensors(self) -> dict[str, Tensor]:
        """All that changes from step to step, by name."""
        factors = {f"factors.{group.name}": group.data for group in self._groups}
        return factors | {f"optimizer.{key}": value for key, value in self._optimizer.state().items()}

    def restore(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Stand again where `tensors` were taken, after `step` steps. Raises TrainingError when they do not fit."""
        for group in self._groups:
            saved = tensors.get(f"factors.{group.name}")
            if saved is None or saved.shape != group.data.shape:
                raise TrainingError("the saved state does not fit this recipe and base.")
            group.data.copy_(saved)
        prefix = "optimizer."
        self._optimizer.load(
            {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        )
        self.step = step

    def _check(self, loss: float, norm: float) -> None:
        where = f"step {self.step + 1}"
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise TrainingError("the loss or its gradient is no longer a number.", where=where, hint=_HINT)
        if loss > EXPLODED:
            raise TrainingError(
                f"the loss has exploded to {loss:.3g} (about 1 is no knowledge).", where=where, hint=_HINT
            )


def _fresh_adapter(base: Base, recipe: Recipe) -> Adapter:
    adapter = new_adapter(
        base,
        name="training",
        algorithm=recipe.algorithm,
        rank=recipe.rank,
        alpha=recipe.alpha,
        conv_rank=recipe.conv.rank,
        conv_alpha=recipe.conv.alpha,
        text_encoder=bool(recipe.lr.text_encoder),
        generator=key_generator(recipe.seed, "factors"),
        groups=recipe.layers,
        form=Form(
            tucker=recipe.conv.tucker,
            factor=recipe.lokr.factor,
            full=recipe.lokr.full,
            both=recipe.lokr.both,
            block=recipe.dylora_block,
        ),
        dora=recipe.dora,
        rank_stabilised=recipe.rank_stabilised,
        norms=recipe.norms,
    )
    if recipe.lr.unet:
        return adapter
    layers = {name: factors for name, factors in adapter.layers.items() if base.layers[name].part == "te"}
    if not layers:
        raise RecipeError("lr.unet = 0 and these layers leave nothing to train.")
    return replace(adapter, layers=layers)
