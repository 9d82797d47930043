"""The stages of the road on a project, each as work that yields events: what every face calls."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lorasmith.errors import LorasmithError, ProjectError, UsageError
from lorasmith.events import Done, Note, SweepDone, Work
from lorasmith.project import Project

if TYPE_CHECKING:
    from lorasmith.dataset.choices import Cure
    from lorasmith.dataset.inspection import Inspection
    from lorasmith.dataset.reading import Dataset
    from lorasmith.recipe.plan import Plan
    from lorasmith.recipe.probe import ProbeCost
    from lorasmith.recipe.recipe import Recipe
    from lorasmith.tags.imports import Imported
    from lorasmith.tags.pipeline import Captioning
    from lorasmith.training.runs.run_set import RunSet

TimeSource = Literal["a run", "a rehearsal", "a guess"]


def inspect_images(project: Project, adapters: Sequence[Path] = ()) -> Work[tuple[Dataset, Inspection]]:
    """Read the images and run every rule. `adapters` are folders of others, whose triggers must be others, as those of
    the user's library (T2).

    Raises DatasetError, RefusedError, ProjectError.
    """
    from lorasmith.images.decoded import kept_decoded

    with kept_decoded():
        return (yield from _inspect_images(project, adapters))


def _inspect_images(project: Project, adapters: Sequence[Path]) -> Work[tuple[Dataset, Inspection]]:
    from lorasmith.bases.vocabulary import read_vocabulary
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.library.lookup import LibraryLookup
    from lorasmith.tags.inspection import inspect_project
    from lorasmith.tags.library import read_library
    from lorasmith.tags.pipeline import write_captions

    dataset = yield from read_dataset(project)
    triggers = [member.trigger for member in project.bundle.values()] or [project.lora.trigger]
    known = LibraryLookup().clashes(triggers, project.root, project.lora.name)
    known |= read_library(adapters, project.lora.name)
    vocabulary = replace(read_vocabulary(project), library=known)
    inspection = yield from inspect_project(project, dataset, vocabulary)
    yield from warn_of_length(project, write_captions(project, dataset).captions)
    return dataset, inspection


def warn_of_length(project: Project, captions: Mapping[str, str], recipe: Recipe | None = None) -> Work[None]:
    """One warning of the captions (by name) that are longer than what the recipe reads; nothing where the base's words
    are not at hand, or without `recipe` when the project's own has faults."""
    from lorasmith.bases.detection import family_of
    from lorasmith.bases.text.counting import find_cut, warn_of_cut
    from lorasmith.recipe.recipe import read_recipe
    from lorasmith.training.unpacking import unpack_text

    try:
        recipe = recipe or read_recipe(project)
        family = family_of(recipe.base)
    except LorasmithError:
        return
    options = unpack_text(recipe)
    yield from warn_of_cut(find_cut(captions, recipe.base, options), options, family)


def tidy_images(project: Project, rules: Sequence[str] = (), *, dry_run: bool = False) -> Work[Cure]:
    """Reject what an inspection would take out (only what `rules` found, if any are named); one step for undo.

    Images that the user keeps are spared. With `dry_run` nothing is recorded. Raises UsageError for an unknown rule.
    """
    from lorasmith.bases.vocabulary import read_vocabulary
    from lorasmith.dataset.choices import cure
    from lorasmith.dataset.decisions import read_decisions, record
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.dataset.rules import RULES
    from lorasmith.tags.inspection import inspect_project
    from lorasmith.tags.review import RULE_IDS

    known = [*(rule.id for rule in RULES), *RULE_IDS]
    for name in rules:
        if name not in known:
            raise UsageError(f"{name}: no such rule.", field="rule", hint=f"Rules: {', '.join(known)}.")
    dataset = yield from read_dataset(project)
    findings = (yield from inspect_project(project, dataset, read_vocabulary(project))).findings
    cured = cure(dataset, [one for one in findings if not rules or one.rule in rules], read_decisions(project))
    return cured if dry_run else replace(cured, decisions=record(project, cured.decisions))


@dataclass(frozen=True)
class Gathered:
    """What was gathered for captions: how many images were tagged and captioned, and what an import found; None where
    that was not asked for."""

    tagged: int | None = None
    imported: Imported | None = None
    captioned: int | None = None


def gather_tags(
    project: Project,
    dataset: Dataset,
    *,
    tagger: str | None = None,
    imported: Path | None = None,
    captioner: str | None = None,
    again: bool = False,
    encoding: str = "",
    consent: bool = False,
) -> Work[Gathered]:
    """Let a tagger, an import of tags and a captioner (a program, or an endpoint's address) work, those that are given;
    `again` on images that have been done before, too; `encoding` of an import that is not UTF-8; `consent` to pictures
    leaving this machine for an endpoint."""
    found = Gathered()
    if tagger is not None:
        from lorasmith.tags.tagger import open_tagger
        from lorasmith.tags.tagging import tag_images

        found = replace(found, tagged=(yield from tag_images(project, dataset, open_tagger(tagger), again=again)))
    if imported is not None:
        from lorasmith.dataset.encodings import check_encoding
        from lorasmith.tags.imports import import_tags

        found = replace(found, imported=(yield from import_tags(project, dataset, imported, check_encoding(encoding))))
    if captioner is not None and captioner.startswith(("http://", "https://")):
        from lorasmith.tags.endpoint import caption_by_endpoint
        from lorasmith.tags.settings import read_settings

        table = read_settings(project).captioner.model_copy(update={"url": captioner})
        asking = caption_by_endpoint(project, dataset, table, again=again, consent=consent)
        found = replace(found, captioned=(yield from asking))
    elif captioner is not None:
        from lorasmith.tags.captioner import caption_images, read_command

        work = caption_images(project, dataset, read_command(captioner), again=again)
        found = replace(found, captioned=(yield from work))
    return found


def build_files(project: Project, dataset: Dataset, captioning: Captioning) -> Work[Path]:
    """Write build/dataset/ as a trainer reads it, with the recipe's buckets; gives the folder."""
    from lorasmith.recipe.exchange.kohya.dataset_file import kohya_buckets, kohya_general
    from lorasmith.recipe.recipe import read_recipe
    from lorasmith.tags.building import build_dataset

    recipe = read_recipe(project)
    general, buckets = kohya_general(recipe), kohya_buckets(recipe)
    return (yield from build_dataset(project, dataset, captioning, general=general, buckets=buckets))


@dataclass(frozen=True)
class PlannedRun:
    """What training would do, by which recipe, and where the plan's time is from."""

    plan: Plan
    recipe: Recipe
    time_from: TimeSource
    probe: ProbeCost | None = None
    preset: tuple[str, str, tuple[str, ...]] = ("", "", ())
    """The kind of subject and the family that the recipe started from, and why its values are what they are."""

    def as_json(self) -> dict[str, Any]:
        """The stable document."""
        document = self.plan.as_json() | {"time_from": self.time_from}
        if self.probe is not None:
            document |= {"probe": self.probe.as_json()}
        kind, family, reasons = self.preset
        return document | {"preset": {"kind": kind, "family": family, "reasons": list(reasons)}}


def plan_training(
    project: Project,
    settings: Mapping[str, str] | None = None,
    *,
    rehearse: bool = False,
    begun: float | None = None,
    probe: bool = False,
) -> Work[PlannedRun]:
    """Steps, buckets, time, memory; `settings` go over [recipe], dotted keys with values as TOML.

    `rehearse` times a few steps on noise, which loads the base; without it, the time is told by the pace of the last
    run or rehearsal here, or guessed.
    `probe`: what probing the learning rates before the run costs, too.
    `begun` (of time.perf_counter) is when the program began, for the time until the first step.
    """
    from lorasmith.bases.detection import base_name, family_of, preset_family, structure_of
    from lorasmith.dataset.reading import read_dataset
    from lorasmith.library.lookup import misfit
    from lorasmith.recipe.estimates import read_opening, read_pace, write_pace
    from lorasmith.recipe.plan import check_drawn_sizes, make_plan
    from lorasmith.recipe.presets import explain_preset
    from lorasmith.recipe.recipe import read_recipe
    from lorasmith.recipe.requirements import check_clip_skip, check_requirements
    from lorasmith.recipe.validation import hold_out
    from lorasmith.tags.pipeline import write_captions
    from lorasmith.training.steps.layers import check_layers
    from lorasmith.training.unpacking import unpack_layers, unpack_network

    begun = time.perf_counter() if begun is None else begun
    recipe = read_recipe(project, settings)
    check_requirements(recipe, project.root)
    if (structure := structure_of(recipe.base)) is not None:
        check_clip_skip(recipe, structure.most_clip_skip, base_name(recipe.base, structure.evidence.path))
        check_layers(structure, unpack_network(recipe), unpack_layers(recipe))
        for caution in () if recipe.training_adapter else structure.family.cautions(structure):
            yield Note(caution, "warning")
    layers = None if structure is None else structure.layers
    for key, file, use in (("init", recipe.init, "start from"), ("training_adapter", recipe.training_adapter, "use")):
        if file and (fault := misfit(project.root / Path(file).expanduser(), family_of(recipe.base), layers)):
            yield Note(f"{key}: {fault.rstrip('.')}: training cannot {use} it.", "warning", "R3")
    whole = yield from read_dataset(project)
    yield from warn_of_length(project, write_captions(project, whole).captions, recipe)
    dataset, held = yield from hold_out(project, recipe, whole)
    kind, family = project.lora.subject, preset_family(recipe.base)
    preset = (kind.value, family.name, explain_preset(kind, family))
    pace, opening = read_pace(project.cache, recipe), read_opening(project.cache, recipe)
    plan = make_plan(recipe, dataset, pace=pace, opening=opening, held=len(held.items))
    check_drawn_sizes(recipe, plan)
    if not rehearse:
        cost = (yield from _plan_probe(project, recipe, plan, settings, whole)) if probe else None
        return PlannedRun(plan, recipe, "a guess" if pace is None else "a run", cost, preset)
    from lorasmith.training.loop import reads_first, training_base
    from lorasmith.training.rehearsal import rehearse as time_steps
    from lorasmith.training.unpacking import unpack

    yield Note("timing a few steps on noise ...")
    base = training_base(recipe, hold_denoiser=reads_first(recipe))
    opening = time.perf_counter() - begun
    pace = time_steps(unpack(recipe), plan, base, project.root)
    write_pace(project.cache, recipe, pace, opening)
    plan = make_plan(recipe, dataset, pace=pace, opening=opening, held=len(held.items))
    cost = (yield from _plan_probe(project, recipe, plan, settings, whole)) if probe else None
    return PlannedRun(plan, recipe, "a rehearsal", cost, preset)


def _plan_probe(
    project: Project, recipe: Recipe, plan: Plan, settings: Mapping[str, str] | None, dataset: Dataset
) -> Work[ProbeCost]:
    from lorasmith.recipe.probe import probe_cost, probe_variants

    variants = probe_variants(project, recipe, plan.steps, settings or {})
    return (yield from probe_cost(project, variants, dataset))


def train_project(
    project: Project,
    settings: Mapping[str, str] | None = None,
    *,
    sweep: bool | None = None,
    resume: bool = False,
    run: Path | None = None,
    probe: bool = False,
) -> Work[Done | SweepDone]:
    """Train the adapter, or with a [sweep] table its variants (unless `sweep` is False); the last event is the result.

    `settings` go over [recipe], dotted keys with values as TOML. With `resume` the run or sweep in the folder `run`, or
    the one that was started last, goes on by its own recipe, with which `settings` must agree (RecipeError). `probe`
    finds the learning rates first, by a short sweep. Raises ProjectError for a sweep without its table, UsageError for
    a probe of a sweep, and what `training.loop.train` raises.
    """
    from lorasmith.recipe.recipe import read_recipe
    from lorasmith.recipe.sweep import read_sweep

    if resume:
        from lorasmith.training.runs.resuming import find_runs

        runs = find_runs(project, run, sweep=sweep)
        if runs is not None and not (probe and runs.done() is not None):
            return (yield from _go_on(project, runs, settings))
    if sweep and not project.table("sweep"):
        raise ProjectError("there is no [sweep] table.", where=project.file, hint="For example: [sweep] rank = [4, 8]")
    if sweep is not False and project.table("sweep"):
        if probe:
            from lorasmith.recipe.probe import SWEPT

            raise UsageError(SWEPT, field="probe")
        variants = read_sweep(project, settings)
        from lorasmith.training.loop import train_sweep

        return (yield from train_sweep(project, variants, resume=resume, run=run))
    recipe = read_recipe(project, settings)
    if probe:
        from lorasmith.face.probing import probe_rates

        recipe = yield from probe_rates(project, recipe, settings or {})
    from lorasmith.training.loop import train

    return (yield from train(project, recipe, resume=resume, run=run))


def _go_on(project: Project, runs: RunSet, settings: Mapping[str, str] | None) -> Work[Done | SweepDone]:
    """Train on where the runs stand, by their own recipes."""
    from lorasmith.training.runs.resuming import changed_since, own_variants

    variants = own_variants(project, runs, settings)
    from lorasmith.training.loop import train, train_sweep
    from lorasmith.training.steps.process_group import is_first

    if not runs.is_sweep and is_first() and (changes := changed_since(project, variants[0], settings)):
        yield Note(f"the run goes on by its own recipe; the project's is another by now: {'; '.join(changes)}.")
    if runs.is_sweep:
        return (yield from train_sweep(project, variants, resume=True, run=runs.path))
    return (yield from train(project, variants[0].recipe, resume=True, run=runs.path))
