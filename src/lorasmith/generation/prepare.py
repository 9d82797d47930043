"""Requests made ready to be drawn: everything looked up, texts encoded; and the record that goes with each picture."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable
from weakref import WeakKeyDictionary

from PIL import Image

from lorasmith.adapters.adapter import Adapter
from lorasmith.adapters.cache import AdapterCache
from lorasmith.adapters.fitting import fit_adapter
from lorasmith.adapters.header import addnet_hash
from lorasmith.bases.base import Base
from lorasmith.bases.text.embeddings import Embedding, Vocabulary
from lorasmith.bases.text.options import TextOptions
from lorasmith.diffusion.samplers import count_evaluations
from lorasmith.generation.adapter_sets import AdapterSet, BankCache, Member, gather, identify
from lorasmith.generation.base_facts import facts_of
from lorasmith.generation.blocks import split_by_blocks
from lorasmith.generation.checks import SettledSpec, settle
from lorasmith.generation.conditioning import Text, TextReader, read_text
from lorasmith.generation.denoise_calls import Guidance, GuidedPart, TextSchedule, in_force
from lorasmith.generation.infotext import write_infotext
from lorasmith.generation.judging import refuse_picture
from lorasmith.generation.pictures import Drawing, Picture, UsedAdapter, UsedEmbedding
from lorasmith.generation.spec import PictureSpec
from lorasmith.prompts import Network, parse, parse_schedule, split_networks
from lorasmith.prompts.composition import check_subprompts
from lorasmith.prompts.networks import unknown_tag_error
from lorasmith.prompts.prompt import SubPrompt


class AdapterSource(Protocol):
    """Where adapters come from by name; `lorasmith.adapters.cache.AdapterCache` is one."""

    def get(self, name: str) -> Adapter: ...

    def path(self, name: str) -> Path: ...


@runtime_checkable
class WordSource(Protocol):
    """Where embeddings come from, with those in the files of some adapters; `AdapterCache` is one."""

    def words(self, adapters: Sequence[Adapter]) -> Vocabulary: ...


@runtime_checkable
class HashSource(Protocol):
    """Who knows the hashes of adapters without their files; None of those that it does not know."""

    def hash(self, name: str) -> str | None: ...


@dataclass(frozen=True)
class _Call:
    """An adapter that a prompt calls, and the members that it is in a bank: more than one only for block weights."""

    network: Network
    members: tuple[tuple[Member, Adapter], ...]


TextVersions = tuple[tuple[int, Text], ...]
"""A text's versions, each with the last step in which it is in force."""


@dataclass(frozen=True)
class Part:
    """A part of a prompt and the adapters that act in it."""

    weight: float
    versions: TextVersions
    calls: tuple[_Call, ...] = ()


@dataclass(frozen=True)
class Stage:
    """One pass over a picture: `total` steps of which the first `skipped` are not taken, its texts, and all adapters
    that it calls."""

    total: int
    skipped: int
    parts: tuple[Part, ...]
    negative: TextVersions
    calls: tuple[_Call, ...]

    @property
    def together(self) -> tuple[_Call, ...]:
        """The adapters that act in the prompt's own parts and in what it is guided away from."""
        return self.parts[0].calls

    @property
    def texts(self) -> tuple[TextVersions, ...]:
        """All that it is told: its parts, and what to guide away from."""
        return (*(part.versions for part in self.parts), self.negative)

    def pattern(self, cfg: float) -> tuple[tuple[int, ...], ...]:
        """The rows that it needs in each step, by their length: stages of one pattern fill passes alike."""
        found = []
        for step in range(self.skipped + 1, self.total + 1):
            lengths = [(part.weight * cfg, in_force(part.versions, step).length) for part in self.parts]
            longest = max(length for _, length in lengths)
            rows = [longest for factor, _ in lengths if factor != 0.0]
            if 1.0 - math.fsum(factor for factor, _ in lengths) != 0.0:
                rows.append(in_force(self.negative, step).length)
            found.append(tuple(rows))
        return tuple(found)


@dataclass(frozen=True, eq=False)
class PictureTask:
    """A spec with everything looked up: nothing can be missing once drawing starts."""

    spec: SettledSpec
    stages: tuple[Stage, ...]

    @property
    def members(self) -> dict[Member, Adapter]:
        return {member: adapter for stage in self.stages for call in stage.calls for member, adapter in call.members}

    @property
    def embeddings(self) -> tuple[Embedding, ...]:
        """Those that its texts call, in the order of the passes."""
        texts = (text for stage in self.stages for versions in stage.texts for _, text in versions)
        return tuple(dict.fromkeys(each for text in texts for each in text.embeddings))

    @property
    def evaluations(self) -> int:
        """How many passes of the denoiser it takes part in."""
        return sum(count_evaluations(self.spec.sampler, stage.total - stage.skipped) for stage in self.stages)

    @property
    def steady(self) -> dict[Member, float] | None:
        """The denoiser's strengths when they are the same in all steps of all passes, else None."""
        if any(call.network.apart for stage in self.stages for call in stage.calls):
            return None
        found = [_strengths(stage.calls, stage.total) for stage in self.stages]
        rows = [{member: strengths[0] for member, strengths in each.items()} for each in found]
        level = all(len(set(strengths)) == 1 for each in found for strengths in each.values())
        return rows[0] if level and all(row == rows[0] for row in rows) else None


class Preparer:
    """Reads specs for one base with the adapters of a source; keeps banks and encoded texts for the next ones."""

    def __init__(self, base: Base, adapters: AdapterSource | None = None, texts: TextReader | None = None) -> None:
        self.base = base
        self.adapters: AdapterSource = AdapterCache([]) if adapters is None else adapters
        self.banks = BankCache(base)
        self._texts = texts or TextReader(base)
        self._facts = facts_of(base)
        self._hashes: dict[tuple[Path, int, int], str] = {}
        self._parts: WeakKeyDictionary[Adapter, dict[tuple[object, ...], dict[float, Adapter]]] = WeakKeyDictionary()

    def read_texts(self, spec: PictureSpec) -> None:
        """Encode all texts of a spec that calls no adapters, for whoever shares the reader of texts. Raises what
        `prepare` does."""
        nothing = AdapterSet(self.base, {})
        for stage in self.prepare(spec).stages:
            for versions in stage.texts:
                for _, text in versions:
                    self._texts.encode(text, nothing)

    def prepare(self, spec: PictureSpec, loaded: dict[str, Adapter] | None = None) -> PictureTask:
        """The spec looked up; `loaded` keeps adapters that several specs call. Raises PromptError, UsageError,
        AdapterError, RefusedError."""
        loaded = {} if loaded is None else loaded
        settled = settle(spec, self._facts)
        refuse_picture(settled)
        negative = split_networks(settled.negative, "a1111").text
        stages = [self._stage(settled, settled.prompt, negative, loaded, None)]
        hires = settled.hires
        if hires is not None:
            away = settled.negative if hires.negative is None else hires.negative
            plain = split_networks(away, "a1111").text
            prompt = settled.prompt if hires.prompt is None else hires.prompt
            stages.append(self._stage(settled, prompt, plain, loaded, hires.steps or settled.steps))
        return PictureTask(settled, tuple(stages))

    def _stage(
        self,
        spec: SettledSpec,
        text: str,
        negative: str,
        loaded: dict[str, Adapter],
        hires_steps: int | None,
    ) -> Stage:
        prompt = parse(text, spec.steps, spec.compat, hires_steps)
        if prompt.unknown:
            raise unknown_tag_error(prompt.unknown[0])
        check_subprompts(len(prompt.subprompts))
        for network in prompt.networks:
            if network.name not in loaded:
                loaded[network.name] = self.adapters.get(network.name)
        total = spec.steps
        skipped = 0 if spec.init is None else total - count_init_steps(total, spec.init.strength)
        if hires_steps is not None:
            assert spec.hires is not None
            total, skipped = hires_steps, 0 if spec.hires.denoising > 0 else hires_steps
        calls = tuple(
            _Call(network, self._members(network, loaded[network.name]))
            for network in prompt.networks
            if network.te or network.unet
        )
        options = TextOptions("a1111", emphasis=spec.emphasis, clip_skip=spec.clip_skip, compat=spec.compat)

        source, called = self.adapters, [loaded[network.name] for network in prompt.networks]
        words = source.words(called) if isinstance(source, WordSource) else None

        def read(schedule: Iterable[tuple[int, str]], calls: Sequence[_Call]) -> TextVersions:
            beside = self._acting(calls)
            return tuple((end, read_text(each, self.base, options, beside, words)) for end, each in schedule)

        def part(told: SubPrompt) -> Part:
            mine = tuple(call for call in calls if call.network in told.networks)
            return Part(told.weight, read(told.schedule, mine), mine)

        away = parse_schedule(negative, spec.steps, hires_steps)
        parts = tuple(map(part, prompt.subprompts))
        return Stage(total=total, skipped=skipped, parts=parts, negative=read(away, parts[0].calls), calls=calls)

    def _acting(self, calls: Iterable[_Call]) -> tuple[tuple[Member, float], ...]:
        """Their members in the text encoders. Texts that differ only in the strength of what does not touch these are
        encoded once."""
        te = gather(
            (member, call.network.te * member.share)
            for call in calls
            for member, adapter in call.members
            if call.network.te and self._has_text_layers(adapter)
        )
        return tuple(sorted(te.items(), key=lambda item: item[0].order))

    def _members(self, network: Network, adapter: Adapter) -> tuple[tuple[Member, Adapter], ...]:
        kept = self._parts.setdefault(adapter, {})
        key = (network.dyn, network.blocks)
        if key not in kept:
            # Fitted here, so that what does not fit is told before anything is drawn.
            cut = fit_adapter(cut_ranks(adapter, network.dyn), self.base)
            kept[key] = split_by_blocks(cut, network.blocks, self.base) if network.blocks else {1.0: cut}
        number = identify(adapter)
        return tuple(
            (Member(network.name, network.dyn, number, network.blocks, share), part)
            for share, part in kept[key].items()
        )

    def _has_text_layers(self, fitted: Adapter) -> bool:
        return any(self.base.layers[name].part == "te" for name in fitted.layers)

    def adapter_set(self, tasks: Iterable[PictureTask]) -> AdapterSet:
        """A bank with all the tasks' adapters. Raises AdapterError where one does not fit the base."""
        return self.banks.get({member: adapter for task in tasks for member, adapter in task.members.items()})

    def guide(self, task: PictureTask, adapter_set: AdapterSet) -> tuple[Guidance, ...]:
        """What the picture is told in each of its passes; the texts of the first step are encoded here, others when
        their turn comes."""
        return tuple(self._guide(task, stage, adapter_set) for stage in task.stages)

    def _guide(self, task: PictureTask, stage: Stage, adapter_set: AdapterSet) -> Guidance:
        def begin(versions: Sequence[tuple[int, Text]]) -> TextSchedule:
            schedule = TextSchedule(versions, self._texts)
            schedule.at(stage.skipped + 1, adapter_set)
            return schedule

        return Guidance(
            parts=tuple(
                GuidedPart(part.weight, begin(part.versions), _strengths(part.calls, stage.total))
                for part in stage.parts
            ),
            negative=begin(stage.negative),
            cfg=task.spec.cfg,
            strengths=_strengths(stage.together, stage.total),
        )

    def finish(self, task: PictureTask, image: Image.Image, drawing: Drawing | None = None) -> Picture:
        """The finished picture with its recipes."""
        used: dict[Network, UsedAdapter] = {}
        for call in (call for stage in task.stages for call in stage.calls if call.members):
            skipped = call.members[0][1].skipped
            used.setdefault(call.network, UsedAdapter(call.network, self._hash(call.network.name), skipped))
        known = {each.network.name: each.hash for each in used.values() if each.hash is not None}
        embeddings = tuple(UsedEmbedding(each.name, each.hash or None, each.digest) for each in task.embeddings)
        hashes = {each.name: each.hash for each in embeddings if each.hash is not None}
        base = self.base
        return Picture(
            image=image,
            spec=task.spec,
            networks=tuple(used.values()),
            base_name=base.name,
            base_hash=base.content_hash,
            infotext=write_infotext(task.spec, base.name, base.content_hash, known, hashes),
            embeddings=embeddings,
            drawing=drawing,
        )

    def _hash(self, name: str) -> str | None:
        if isinstance(self.adapters, HashSource) and (known := self.adapters.hash(name)) is not None:
            return known
        path = self.adapters.path(name)
        if not path.is_file():
            return None
        status = path.stat()
        stamp = (path, status.st_size, status.st_mtime_ns)
        if stamp not in self._hashes:
            self._hashes[stamp] = addnet_hash(path)
        return self._hashes[stamp]


def count_init_steps(steps: int, strength: float) -> int:
    """How many of `steps` a start from a picture takes, as the A1111 web UI counts: one more than the share.

    0 only for strength 0.
    """
    return 0 if strength == 0 else min(steps, int(min(strength, 0.999) * steps) + 1)


def cut_ranks(adapter: Adapter, dyn: int | None) -> Adapter:
    """The first `dyn` ranks of a plain LoRA at the full rank's scale; other algorithms stay whole, as in A1111."""
    if dyn is None:
        return adapter
    layers = {name: factors.first_ranks(dyn) for name, factors in adapter.layers.items()}
    return replace(adapter, layers=layers)


def _strengths(calls: Sequence[_Call], steps: int) -> Mapping[Member, tuple[float, ...]]:
    """Each member's strength in the denoiser, step by step."""
    by_step = [
        gather(
            (member, call.network.unet_at(step, steps) * member.share) for call in calls for member, _ in call.members
        )
        for step in range(1, steps + 1)
    ]
    return {member: tuple(row[member] for row in by_step) for member in by_step[0]}
