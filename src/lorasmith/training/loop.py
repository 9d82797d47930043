"""Training from a recipe to an adapter file, as a stream of events; a run is a sweep of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lorasmith.bases.base import Base, open_base
from lorasmith.errors import TrainingError
from lorasmith.events import Done, Note, SweepDone, Work
from lorasmith.optimizers import OPTIMIZERS
from lorasmith.project import Project
from lorasmith.recipe.estimates import write_pace
from lorasmith.recipe.prediction import check_prediction
from lorasmith.recipe.recipe import Recipe
from lorasmith.recipe.requirements import check_clip_skip, check_requirements
from lorasmith.recipe.sweep import Variant
from lorasmith.training.inputs.reading import read_inputs
from lorasmith.training.runs.interruption import heed_interrupts, stoppable
from lorasmith.training.runs.metadata import Making
from lorasmith.training.runs.resuming import find_runs
from lorasmith.training.runs.run_set import RunSet, place_runs
from lorasmith.training.runs.session import RunSession
from lorasmith.training.step_loop import StepLoop
from lorasmith.training.steps.layers import check_layers
from lorasmith.training.steps.process_group import ProcessGroup, first_alone, join_processes
from lorasmith.training.steps.start import read_training_adapter, start_adapter
from lorasmith.training.unpacking import unpack, unpack_layers, unpack_network


def train(
    project: Project,
    recipe: Recipe,
    *,
    run: Path | None = None,
    resume: bool = False,
    base: Base | None = None,
) -> Work[Done]:
    """Train an adapter; its last event, and its result, is `Done`.

    `run` is the run's folder: a new one by default, with `resume` the one started last. A complete run resumes to
    its own Done. Started by torchrun, every process takes its share of the rows; the first one
    writes and yields the events.
    Raises Stopped after Ctrl-C, when the state is saved; StorageError on a full disk, TrainingError when the loss
    explodes, memory does not suffice, the run's inputs have changed or another process trains it, RecipeError when it
    shall go on with another recipe: the last good state is then on disk.
    """
    done = yield from _train(project, [Variant("", recipe)], run, resume, base)
    assert isinstance(done, Done)
    return done


def train_sweep(
    project: Project,
    variants: Sequence[Variant],
    *,
    run: Path | None = None,
    resume: bool = False,
    base: Base | None = None,
) -> Work[SweepDone]:
    """Train every variant in one pass over the frozen base; its last event, and its result, is `SweepDone`.

    Each becomes, but for rounding, what it would by itself. One that explodes is left behind and named at the end.
    `run`, `resume` and what is raised: as `train`; TrainingError when none is left.
    """
    done = yield from _train(project, variants, run, resume, base)
    assert isinstance(done, SweepDone)
    return done


def _train(
    project: Project, variants: Sequence[Variant], path: Path | None, resume: bool, base: Base | None
) -> Work[Done | SweepDone]:
    """The one road: the last event is `Done` for a run by itself and `SweepDone` for a sweep."""
    recipes = [variant.recipe for variant in variants]
    names = [variant.name for variant in variants]
    for recipe in recipes:
        check_requirements(recipe, project.root)
    with heed_interrupts() as wish, join_processes() as processes, ExitStack() as held:
        inputs = yield from stoppable(first_alone(read_inputs(project, recipes), processes), wish)
        chosen = _choose_runs(project, variants, path) if resume else None
        finished = None if chosen is None else chosen.done()
        if resume and chosen is None and processes.writes:
            yield Note(f"there is no {'run' if names == [''] else 'sweep'} to go on with: starting a new one.")
        processes.barrier()
        if chosen is not None and finished is not None:
            if processes.writes:
                yield Note(f"{chosen.path.name} is complete already.")
                yield finished
            return finished
        if chosen is not None:
            held.enter_context(_held_by_first(chosen, processes))
        base = base or training_base(recipes[0], hold_denoiser=all(map(reads_first, recipes)))
        for recipe in recipes:
            check_clip_skip(recipe, base.prompt_encoder.most_clip_skip, base.name)
            check_prediction(recipe, base.parametrisation.prediction, base.name)
            OPTIMIZERS[recipe.optimizer.name].try_out(base.device)
            check_layers(base, unpack_network(recipe), unpack_layers(recipe))
            if chosen is None:  # before latents and texts are read for nothing
                read_training_adapter(base, recipe.training_adapter, project.root)
                if recipe.init:
                    start_adapter(base, unpack(recipe), project.root)
        for caution in _cautions(base, recipes[0]) if chosen is None and processes.writes else ():
            yield Note(caution, "warning")
        runs = chosen or place_runs(project, names, path)
        runs = place_runs(project, names, Path(processes.broadcast(str(runs.path))))
        if chosen is None:
            held.enter_context(_held_by_first(runs, processes))
        if chosen is None and processes.writes:
            runs.create(variants, [each.plan for each in inputs])
        sessions = []
        for variant, each in zip(variants, inputs, strict=True):
            run = runs.runs[variant.name]
            making = Making(project, variant.recipe, each, base, run.name)
            sessions.append(RunSession(variant.name, unpack(variant.recipe), each, run, base, making))
        loop = StepLoop(project, base, sessions, wish, processes, runs)
        done = yield from loop.work()
        if loop.pace.known and processes.writes:
            write_pace(project.cache, recipes[0], loop.pace.per_row_pixel)
        if isinstance(done, SweepDone) and processes.writes:
            runs.write_done(done)
            yield done
        return done


def reads_first(recipe: Recipe) -> bool:
    """Whether all that is read before the first step needs no denoiser."""
    return recipe.caches_text and not recipe.preserve.draws


def training_base(recipe: Recipe, *, hold_denoiser: bool = False) -> Base:
    """The base as the recipe trains on it; `hold_denoiser`: it comes to the GPU with `Base.place_denoiser`. Raises
    BaseError, and RecipeError when it cannot learn what is asked."""
    base = open_base(
        recipe.base,
        recipe.precision,
        "training",
        recipe.stated_prediction,
        recipe.weights,
        recipe.blocks_to_swap,
        hold_denoiser,
    )
    check_prediction(recipe, base.parametrisation.prediction, base.name)
    return base


def _cautions(base: Base, recipe: Recipe) -> Iterator[str]:
    """What whoever trains so should know before."""
    yield from () if recipe.training_adapter else base.cautions
    if recipe.blocks_to_swap and base.device.type == "cpu":
        yield f"blocks_to_swap = {recipe.blocks_to_swap} does nothing on a CPU, which has one memory."


def _choose_runs(project: Project, variants: Sequence[Variant], path: Path | None) -> RunSet | None:
    """The runs to go on with; None when there are none. Raises RecipeError when their recipes are others."""
    runs = find_runs(project, path, sweep=[variant.name for variant in variants] != [""])
    if runs is not None:
        runs.check(variants)
    return runs


@contextmanager
def _held_by_first(runs: RunSet, processes: ProcessGroup) -> Iterator[None]:
    """Hold the runs for the process that writes; where it cannot, all processes end alike."""
    with ExitStack() as held:
        fault: TrainingError | None = None
        if processes.writes:
            try:
                held.enter_context(runs.held())
            except TrainingError as refused:
                fault = refused
        words = processes.broadcast("" if fault is None else fault.message)
        if words:
            raise fault or TrainingError(words, where=runs.path)
        yield
