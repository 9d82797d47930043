"""A project as Python sees it: the road's stages as methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lorasmith import project as projects
from lorasmith.events import Done, SweepDone, Work
from lorasmith.face import rounds, stages
from lorasmith.face.drawing import Pipelines, draw, find_adapters
from lorasmith.face.grids import DEFAULT_STRENGTHS, DrawnGrid, grid
from lorasmith.face.watching import See, run
from lorasmith.project import SubjectKind
from lorasmith.recipe.edits import edit_project
from lorasmith.recipe.overrides import write_value

if TYPE_CHECKING:
    from lorasmith.dataset.choices import Cure
    from lorasmith.dataset.decisions import Decision
    from lorasmith.dataset.inspection import Inspection
    from lorasmith.dataset.reading import Dataset, Item
    from lorasmith.exam.verdict import Verdict
    from lorasmith.face.rounds import AdoptedRound
    from lorasmith.generation.pictures import Picture
    from lorasmith.recipe.plan import Plan
    from lorasmith.tags.pipeline import Captioning

Settings = Mapping[str, object]
"""Recipe keys with their values, dotted: ``{"rank": 8, "lr.unet": 4e-4}``."""


def open_project(folder: Path | str) -> Project:
    """The project in a folder. Raises ProjectError.

    project = lorasmith.open_project("my-lora")
    """
    return Project(projects.open_project(folder))


def create_project(
    folder: Path | str,
    *,
    images: Sequence[Path | str] = (),
    subject: str = "character",
    name: str | None = None,
    trigger: str | None = None,
    base: str | Path | None = None,
    follow_links: bool = False,
    encoding: str = "",
    see: See | None = None,
) -> Project:
    """Make a project: a lora.toml beside a copy of the images.

    `images` are folders, image files, zips, dataset files or videos; originals stay untouched. `name` is the folder's
    and `trigger` the name in lower-case letters when None. `base` is "doodle" when None: else a checkpoint file, a
    diffusers folder or a hub id. `follow_links` takes what links that lead out of a folder lead to, too; `encoding` is
    that of captions and tables that are not UTF-8. Raises ProjectError, DatasetError, UsageError.

        project = lorasmith.create_project("my-lora", images=["~/pictures/ann"], trigger="annxyz")
    """
    from lorasmith.dataset.create import create_project
    from lorasmith.dataset.encodings import check_encoding
    from lorasmith.dataset.sources.source import SourceOptions

    work = create_project(
        Path(folder).expanduser(),
        subject=SubjectKind(subject),
        name=name,
        trigger=trigger,
        sources=[Path(source).expanduser() for source in images],
        options=SourceOptions(follow_links, check_encoding(encoding)),
    )
    created = run(work, see)
    project = Project(created.project)
    if base is not None:
        project.configure({"lora.base": str(base)})
    return project


def copy_example(name: str, folder: Path | str) -> Project:
    """One of the shipped examples ("character", "style", "concept") as a project. Raises ProjectError.

    project = lorasmith.copy_example("character", "try-it")
    """
    from lorasmith import examples

    return open_project(examples.copy_example(name, Path(folder).expanduser()))


class Project:
    """An open project. Long work takes `see`, a function that gets its events; without it warnings are Python's."""

    def __init__(self, opened: projects.Project) -> None:
        self.opened = opened
        self._open_pipeline: tuple[tuple[Path, ...], Any] | None = None

    def __repr__(self) -> str:
        return f"<Project {self.name} in {self.root}>"

    @property
    def root(self) -> Path:
        """Its folder."""
        return self.opened.root

    @property
    def name(self) -> str:
        """The adapter's name."""
        return self.opened.lora.name

    @property
    def trigger(self) -> str:
        """The word that calls what the adapter has learnt."""
        return self.opened.lora.trigger

    @property
    def adapters(self) -> list[Path]:
        """The newest run's adapter files: snapshots along the way, the final one last. Raises UsageError."""
        return find_adapters(self.root)

    @property
    def adapter(self) -> Path:
        """The newest run's final adapter. Raises UsageError."""
        return self.adapters[-1]

    def configure(self, settings: Settings) -> None:
        """Set values in lora.toml, dotted from its tables; comments stay. Raises ProjectError, RecipeError for what
        the file cannot have, before anything is written.

            project.configure({"lora.base": "/models/sdxl.safetensors", "recipe.epochs": 8})
        """
        self.opened = edit_project(self.opened, settings)

    def inspect(self, *, adapters: Sequence[Path | str] = (), see: See | None = None) -> Inspection:
        """Look at the images and say what is wrong and what to do; `passed` while no error stands.

        `adapters` are folders of others, whose triggers must be others.

            for finding in project.inspect().findings:
                print(finding.rule, finding.sentence, finding.advice)
        """
        folders = [Path(folder).expanduser() for folder in adapters]
        return run(stages.inspect_images(self.opened, folders), see)[1]

    def curate(self, *rules: str, dry_run: bool = False, see: See | None = None) -> Cure:
        """Reject what an inspection would take out without asking: copies, blurs, strangers; only what `rules` found,
        if any are named. With `dry_run` nothing is decided.

            project.curate(dry_run=True).decisions
        """
        return run(stages.tidy_images(self.opened, rules, dry_run=dry_run), see)

    def keep(self, *images: str, reason: str = "", see: See | None = None) -> tuple[Decision, ...]:
        """Take images in, by name or pattern; `curate` spares them."""
        from lorasmith.dataset.choices import keep_images
        from lorasmith.dataset.decisions import record

        dataset, chosen = self._choose(images, see)
        return record(self.opened, keep_images(dataset, chosen, reason))

    def reject(self, *images: str, reason: str = "", see: See | None = None) -> tuple[Decision, ...]:
        """Leave images out, by name or pattern; their files stay.

        project.reject("blurred.png", "holiday/*", reason="not her")
        """
        from lorasmith.dataset.choices import reject_images
        from lorasmith.dataset.decisions import record

        dataset, chosen = self._choose(images, see)
        return record(self.opened, reject_images(dataset, chosen, reason))

    def undo(self, steps: int = 1) -> tuple[Decision, ...]:
        """Take back the last decision, or several. Raises DatasetError where there are not so many."""
        from lorasmith.dataset.decisions import undo

        return undo(self.opened, steps)

    def redo(self, steps: int = 1) -> tuple[Decision, ...]:
        """Let what was undone last stand again. Raises DatasetError where there is not so much, as after any new
        decision."""
        from lorasmith.dataset.decisions import redo

        return redo(self.opened, steps)

    def _choose(self, images: Sequence[str], see: See | None) -> tuple[Dataset, tuple[Item, ...]]:
        from lorasmith.dataset.reading import read_all
        from lorasmith.dataset.selection import select_images

        dataset = run(read_all(self.opened), see)
        return dataset, select_images(dataset, images)

    def tag(
        self,
        *,
        tagger: str | None = None,
        imported: Path | str | None = None,
        again: bool = False,
        write: bool = False,
        see: See | None = None,
    ) -> Captioning:
        """The captions by the project's rules, by image; `rules` say what each of them changed.

        `tagger` ("doodle", a folder, a hub id) and `imported` (a folder or file with tags) are asked first; `again` on
        images that the tagger has seen, too. With `write` build/dataset/ is written as a trainer reads it.

            project.tag(tagger="doodle").captions["01.png"]
        """
        from lorasmith.dataset.reading import read_dataset
        from lorasmith.tags.pipeline import write_captions

        dataset = run(read_dataset(self.opened), see)
        source = None if imported is None else Path(imported).expanduser()
        run(stages.gather_tags(self.opened, dataset, tagger=tagger, imported=source, again=again), see)
        captioning = write_captions(self.opened, dataset)
        run(stages.warn_of_length(self.opened, captioning.captions), see)
        if write:
            run(stages.build_files(self.opened, dataset, captioning), see)
        return captioning

    def plan(self, settings: Settings | None = None, *, rehearse: bool = False, see: See | None = None) -> Plan:
        """What training would do: steps, buckets, time, memory. `settings` go over the recipe; `rehearse` times a few
        steps on noise (None: where that takes seconds and no run has shown the pace).

            project.plan({"resolution": 768}).steps
        """
        return run(stages.plan_training(self.opened, _as_toml(settings), rehearse=rehearse), see).plan

    def train(
        self,
        settings: Settings | None = None,
        *,
        resume: bool = False,
        sweep: bool | None = None,
        folder: Path | str | None = None,
        probe: bool = False,
    ) -> Work[Done | SweepDone]:
        """Train the adapter; yields events, of which the last one has the adapter's path, or the paths of a sweep's.

        `settings` go over the recipe for this run. Interrupted, it is gone on with by `resume`. `folder` is the run's,
        a new one when None. With a [sweep] table its variants are trained, unless `sweep` is False. `probe` finds the
        learning rates first, by a short sweep.

            for event in project.train({"rank": 8}):
                print(event)
        """
        place = None if folder is None else Path(folder).expanduser().resolve()
        return stages.train_project(self.opened, _as_toml(settings), sweep=sweep, resume=resume, run=place, probe=probe)

    def draw_round(
        self, adapter: Path | str | None = None, *, count: int | None = None, see: See | None = None
    ) -> AdoptedRound:
        """Let `adapter` (that of the newest run) draw what no image shows beside the subject, and take what the exam's
        judge finds right into the dataset (D15); `undo` takes it out again. Raises ExamError.

            taken = project.draw_round()
        """
        file = None if adapter is None else Path(adapter).expanduser().resolve()
        return run(rounds.adopt_round(self.opened, file, count), see)

    def examine(
        self,
        *,
        snapshots: Sequence[Path | str] = (),
        settings: Mapping[str, Any] | None = None,
        see: See | None = None,
    ) -> Verdict:
        """Measure the newest run's adapters (or `snapshots`) against their base; `chosen` is the one to use.

        `settings` go over [exam], such as ``{"pictures": 200}``. Raises ExamError.

            verdict = project.examine()
            print(verdict.summary, verdict.chosen, verdict.report)
        """
        from lorasmith.exam.run import run_exam
        from lorasmith.library.recommending import recommend

        verdict = run(run_exam(self.opened, [Path(each) for each in snapshots], settings), see)
        recommend(self.opened, verdict.chosen, verdict.as_json())
        return verdict

    def draw(
        self,
        prompt: str,
        *,
        n: int = 1,
        seed: int | None = None,
        adapter: Path | str | None = None,
        strength: float = 1.0,
        out: Path | str | None = None,
        see: See | None = None,
        **fields: Any,
    ) -> list[Picture]:
        """Pictures with the newest adapter (or `adapter`), on the base that it was trained on.

        `strength` 0 leaves it out; a prompt that calls adapters itself is left as it is. `fields` are a picture's
        others: `negative`, `steps`, `cfg`, `sampler`, `width`, `height` ... `out` is a folder to save to.

            for picture in project.draw("zbk, smile", n=4):
                picture.image.show()
        """
        file = self.adapter if adapter is None else Path(adapter).expanduser()
        base = _read_recipe(self.opened).base
        if self._open_pipeline is None or self._open_pipeline[0] != (file,):
            self._open_pipeline = ((file,), Pipelines([file]))
        text = prompt if "<lora:" in prompt or not strength else f"{prompt} <lora:{file.stem}:{strength:g}>"
        return draw(text, base=self._open_pipeline[1](base), n=n, seed=seed, out=out, see=see, **fields)

    def grid(
        self,
        prompt: str,
        *,
        strengths: str = DEFAULT_STRENGTHS,
        x: str | None = None,
        y: str | None = None,
        z: str | None = None,
        see: See | None = None,
        **options: Any,
    ) -> DrawnGrid:
        """A grid of the newest run's adapters by strengths, or by other axes; `options` as `lorasmith.grid` has them.

        project.grid("zbk, smile", strengths="0.4..1.0/0.2").sheets
        """
        options.setdefault("out", self.root / "grids")
        return grid(prompt, self.adapters, strengths=strengths, x=x, y=y, z=z, see=see, **options)


def _read_recipe(project: projects.Project) -> Any:
    from lorasmith.recipe.recipe import read_recipe

    return read_recipe(project)


def _as_toml(settings: Settings | None) -> dict[str, str]:
    return {key: write_value(value) for key, value in (settings or {}).items()}
