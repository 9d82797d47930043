"""The studio: many requests in, pictures out; each picture has its own prompt, seed, adapters and strengths.

A picture drawn in a batch equals the picture drawn alone, up to rounding. Adapters act on what guides away from the
negative prompt too, as if they were merged.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.algorithms.lora import LoraFactors
from lorasmith.adapters.bank import AdapterBank
from lorasmith.adapters.header import addnet_hash
from lorasmith.adapters.shelf import AdapterShelf
from lorasmith.bases.base import Base
from lorasmith.errors import PromptError, UsageError
from lorasmith.events import Note, Progress, Work
from lorasmith.generation.conditioning import Text, encode_texts, read_text
from lorasmith.generation.infotext import write_infotext
from lorasmith.generation.pictures import Picture, UsedAdapter
from lorasmith.generation.request import Request, Settings, settle
from lorasmith.generation.sampling import Row, Schedule, sample
from lorasmith.prompts import Network, SubPrompt, parse, parse_attention, parse_schedule, split_networks
from lorasmith.prompts.networks import unknown_tag_error
from lorasmith.tags.refusal import refuse

BATCH_SIZE = 8
# One bank for all of a call's adapters while they are few; else each batch has its own.
SHARED_BANK = 16
BANKS_KEPT = 4


class Shelf(Protocol):
    """Where adapters come from by name; `lorasmith.adapters.shelf.AdapterShelf` is one."""

    def get(self, name: str) -> Adapter: ...

    def path(self, name: str) -> Path: ...


@dataclass(frozen=True)
class _Job:
    """A request with everything looked up: nothing can be missing once drawing starts."""

    request: Request
    settings: Settings
    parts: tuple[SubPrompt, ...]
    negative: tuple[tuple[int, str], ...]
    calls: tuple[tuple[Network, Adapter], ...]
    tags_in_negative: bool


# A column of a bank: an adapter by name, cut ranks and identity, since a file may change between two calls.
_Member = tuple[str, int | None, int]


@dataclass(frozen=True)
class _Ensemble:
    """A bank and which of its columns is whose. `adapters` are kept so that their identities stay theirs."""

    columns: Mapping[_Member, int]
    adapters: tuple[Adapter, ...]
    bank: AdapterBank | None


class Studio:
    """Draws on one base with the adapters of a shelf. `batch_size` is the number of pictures drawn together."""

    def __init__(self, base: Base, shelf: Shelf | None = None, batch_size: int = BATCH_SIZE) -> None:
        if batch_size < 1:
            raise UsageError(f"batch size {batch_size} is less than 1.")
        self.base = base
        self.shelf = AdapterShelf([]) if shelf is None else shelf
        self.batch_size = batch_size
        self._ensembles: OrderedDict[tuple[_Member, ...], _Ensemble] = OrderedDict()

    def check(self, request: Request) -> None:
        """Raise what drawing this request would: PromptError, UsageError, AdapterError, RefusedError."""
        self._ensemble([self._look_up(request, {})])

    def draw(self, requests: Sequence[Request]) -> Work[list[Picture]]:
        """Draw the requests; compatible ones go through the denoiser together. Pictures are in the requests' order.

        All requests are checked before the first one is drawn. Yields progress after each step. Raises PromptError,
        UsageError, AdapterError, RefusedError.
        """
        loaded: dict[str, Adapter] = {}
        jobs = [self._look_up(request, loaded) for request in requests]
        if any(job.tags_in_negative for job in jobs):
            yield Note("an adapter tag in a negative prompt has no effect.", level="warning", rule="U1")
        shared = self._ensemble(jobs) if len(_members(jobs)) <= SHARED_BANK else None
        batches = self._batches(jobs)
        total = sum(jobs[batch[0]].settings.steps for batch in batches)
        pictures: dict[int, Picture] = {}
        hashes: dict[str, str | None] = {}
        done, start = 0, time.monotonic()
        for batch in batches:
            members = [jobs[index] for index in batch]
            ensemble = shared or self._ensemble(members)
            with torch.inference_mode():
                rows = self._rows(members, ensemble)
            work = sample(self.base, ensemble.bank, rows, members[0].settings)
            while True:
                try:
                    next(work)
                except StopIteration as stop:
                    images: list[Image.Image] = stop.value
                    break
                done += 1
                yield Progress("drawing", done, total, (time.monotonic() - start) / done * (total - done))
            for index, image in zip(batch, images, strict=True):
                pictures[index] = self._sign(jobs[index], image, hashes)
        return [pictures[index] for index in range(len(jobs))]

    def _look_up(self, request: Request, loaded: dict[str, Adapter]) -> _Job:
        settled, settings = settle(request, self.base)
        unfinished = ("init", "variation", "hires", "tiling", "eta")
        for word in unfinished:
            if getattr(settled, word):
                raise UsageError(f"{word} cannot be drawn yet.")
        prompt = parse(settled.prompt, settings.steps, settled.compat)
        refuse([settled.prompt, *_plain_texts(prompt.subprompts, settings)], "prompt")
        if prompt.unknown:
            raise unknown_tag_error(prompt.unknown[0])
        for network in prompt.networks:
            if not network.is_steady:
                raise PromptError(
                    f"<lora:{network.name}:...>: strengths that change over steps or blocks cannot be drawn yet.",
                    where="prompt",
                    hint=f"Give one strength, as in <lora:{network.name}:0.8>.",
                )
            if network.name not in loaded:
                loaded[network.name] = self.shelf.get(network.name)
        negative = split_networks(settled.negative, "a1111").text
        return _Job(
            request=settled,
            settings=settings,
            parts=prompt.subprompts,
            negative=tuple(parse_schedule(negative, settings.steps)),
            calls=tuple((network, loaded[network.name]) for network in prompt.networks if network.te or network.unet),
            tags_in_negative=negative != settled.negative,
        )

    def _batches(self, jobs: Sequence[_Job]) -> list[list[int]]:
        groups: dict[tuple[object, ...], list[int]] = {}
        for index, job in enumerate(jobs):
            groups.setdefault(job.settings.company, []).append(index)
        size = self.batch_size
        return [group[start : start + size] for group in groups.values() for start in range(0, len(group), size)]

    def _ensemble(self, jobs: Sequence[_Job]) -> _Ensemble:
        """A bank with the adapters of `jobs`, kept for the next call."""
        members = _members(jobs)
        key = tuple(members)
        if key not in self._ensembles:
            cut = [cut_ranks(adapter, dyn) for (_, dyn, _), adapter in members.items()]
            self._ensembles[key] = _Ensemble(
                columns={member: column for column, member in enumerate(key)},
                adapters=tuple(members.values()),
                bank=AdapterBank(self.base, cut) if cut else None,
            )
        self._ensembles.move_to_end(key)
        while len(self._ensembles) > BANKS_KEPT:
            self._ensembles.popitem(last=False)
        return self._ensembles[key]

    def _rows(self, jobs: Sequence[_Job], ensemble: _Ensemble) -> list[Row]:
        """Every distinct text of the batch encoded once, and put where each picture needs it."""
        settings = jobs[0].settings
        places: dict[Text, int] = {}
        plans = []
        for job in jobs:
            unet, te = _strengths(job, ensemble)

            def place(
                schedule: Iterable[tuple[int, str]], job: _Job = job, te: tuple[float, ...] = te
            ) -> list[tuple[int, int]]:
                texts = [
                    (end, read_text(text, self.base, te, settings.emphasis, job.request.compat))
                    for end, text in schedule
                ]
                return [(end, places.setdefault(text, len(places))) for end, text in texts]

            parts = [(part.weight, place(part.schedule)) for part in job.parts]
            plans.append((parts, place(job.negative), unet))
        contexts = encode_texts(self.base, ensemble.bank, list(places), settings.clip_skip, settings.emphasis)

        def look(schedule: list[tuple[int, int]]) -> Schedule:
            return tuple((end, contexts[index]) for end, index in schedule)

        return [
            Row(
                parts=tuple((weight, look(schedule)) for weight, schedule in parts),
                negative=look(negative),
                cfg=job.settings.cfg,
                seed=job.settings.seed,
                strengths=unet,
            )
            for job, (parts, negative, unet) in zip(jobs, plans, strict=True)
        ]

    def _sign(self, job: _Job, image: Image.Image, hashes: dict[str, str | None]) -> Picture:
        used = []
        for network, _ in job.calls:
            if network.name not in hashes:
                hashes[network.name] = self._hash(network.name)
            used.append(UsedAdapter(network, hashes[network.name]))
        known = {each.network.name: each.hash for each in used if each.hash is not None}
        base = self.base
        return Picture(
            image=image,
            request=job.request,
            networks=tuple(used),
            base_name=base.name,
            base_hash=base.content_hash,
            infotext=write_infotext(job.request, job.settings, base.name, base.content_hash, known),
        )

    def _hash(self, name: str) -> str | None:
        path = self.shelf.path(name)
        return addnet_hash(path) if path.is_file() else None


def cut_ranks(adapter: Adapter, dyn: int | None) -> Adapter:
    """The first `dyn` ranks of a plain LoRA at the full rank's scale; other algorithms stay whole, as in A1111."""
    if dyn is None:
        return adapter
    layers = {
        name: replace(
            factors, down=factors.down[:dyn], up=factors.up[:, :dyn], alpha=factors.scale * min(dyn, factors.rank)
        )
        if isinstance(factors, LoraFactors)
        else factors
        for name, factors in adapter.layers.items()
    }
    return replace(adapter, layers=layers)


def _member(network: Network, adapter: Adapter) -> _Member:
    return (network.name, network.dyn, id(adapter))


def _members(jobs: Iterable[_Job]) -> dict[_Member, Adapter]:
    return {_member(network, adapter): adapter for job in jobs for network, adapter in job.calls}


def _strengths(job: _Job, ensemble: _Ensemble) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The job's rows (K,) of the weight matrices: the denoiser's and the text encoders'."""
    unet, te = [0.0] * len(ensemble.columns), [0.0] * len(ensemble.columns)
    for network, adapter in job.calls:
        column = ensemble.columns[_member(network, adapter)]
        unet[column] += network.unet
        # Texts that differ only in the strength of what does not touch the text encoders are encoded once.
        te[column] += network.te if _has_text_layers(adapter) else 0.0
    return tuple(unet), tuple(te)


def _has_text_layers(adapter: Adapter) -> bool:
    return any(not name.startswith("lora_unet") for name in adapter.layers)


def _plain_texts(parts: Iterable[SubPrompt], settings: Settings) -> list[str]:
    """What the text encoders will read, without the brackets that could hide a word from the refusal."""
    texts = dict.fromkeys(text for part in parts for _, text in part.schedule)
    if settings.emphasis == "none":
        return list(texts)
    return ["".join(span.text for span in parse_attention(text)) for text in texts]
