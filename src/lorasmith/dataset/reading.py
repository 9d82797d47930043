"""From folders and sidecar captions to a Dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lorasmith.dataset.decisions import ROLES, Box, Decisions, Role, Standing, read_decisions
from lorasmith.dataset.encodings import NotTextError, decode
from lorasmith.dataset.facts import read_facts
from lorasmith.dataset.folders import CAPTION_EXTENSION, Found, Place, Problem, composed, find_files
from lorasmith.dataset.index import open_index
from lorasmith.dataset.kohya_layout import find_root
from lorasmith.dataset.lineage import Lineage as Lineage
from lorasmith.dataset.lineage import read_lineage
from lorasmith.dataset.roles import folder_role
from lorasmith.dataset.settings import DatasetTable, read_settings
from lorasmith.dataset.stored import fetch_images, image_roots
from lorasmith.errors import DatasetError, NoImagesError, ProjectError, did_you_mean
from lorasmith.events import Note, Work
from lorasmith.images.opening import ImageFacts
from lorasmith.project import Project
from lorasmith.remedies import Action, Do, Sentence, Write
from lorasmith.storage.remote import url_of

MADE = "made"


@dataclass(frozen=True)
class Item:
    """One readable image of a dataset, with what was decided about it.

    `name` is its POSIX path relative to the images folder ("made/..." for a made one), and is unique; `caption` the raw
    text of its same-stem .txt or .caption (None without one, "" when that is empty); `folder` its group ("5_primary",
    or "" at the root); `repeats` how often an epoch shows it; `crop` (left, top, right, bottom) the part of it that is
    meant, in pixels after EXIF rotation, None for the whole; `facets` the user's own labels; `lineage` how it was made,
    None for the user's own; `member` its name in the bundle.
    """

    path: Path
    name: str
    facts: ImageFacts
    caption: str | None
    folder: str
    repeats: int
    role: Role | None = None
    crop: Box | None = None
    facets: tuple[str, ...] = ()
    lineage: Lineage | None = None
    member: str | None = None

    @property
    def is_adopted(self) -> bool:
        """Whether an adapter drew it, for a second round (D15)."""
        return self.lineage is not None and self.lineage.operation == "adopt"

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels of what is trained: its crop, or the whole picture."""
        if self.crop is None:
            return self.facts.width, self.facts.height
        left, top, right, bottom = self.crop
        return right - left, bottom - top

    @property
    def content(self) -> str:
        """A key for what is trained of it: its file's sha256, with the crop where one is decided."""
        if self.crop is None:
            return self.facts.sha256
        return f"{self.facts.sha256} {','.join(map(str, self.crop))}"


@dataclass(frozen=True)
class Dataset:
    """All images that are in, by name; what could not be used; the captions that belong to no image; and the images
    that are rejected."""

    items: tuple[Item, ...]
    problems: tuple[Problem, ...]
    orphans: tuple[Path, ...]
    rejected: tuple[Item, ...] = ()


@dataclass(frozen=True)
class Scan:
    """What lies in the folders of images, before any decision: items as their folders say, problems before and after
    which those of decisions are told, and captions without an image."""

    items: tuple[Item, ...]
    first_problems: tuple[Problem, ...]
    other_problems: tuple[Problem, ...]
    orphans: tuple[Path, ...]


def read_dataset(project: Project) -> Work[Dataset]:
    """Read the folders of [dataset] and the made pictures, with the decisions on them. Nothing is changed; what cannot
    be read is listed under `problems`.

    Files that have not changed since the last reading are not opened again. Raises DatasetError when a folder is
    missing, no image can be read, or all are rejected; ProjectError when a member of the bundle has no images.
    """
    dataset = yield from read_all(project)
    if not dataset.items:
        raise DatasetError(
            f"all of its {len(dataset.rejected)} images are rejected.",
            where=project.curation,
            hint="Take some back:",
            remedy=Do(Action.KEEP, project=project.root, images="*"),
        )
    return dataset


def read_all(project: Project) -> Work[Dataset]:
    """Like `read_dataset`, but all images may be rejected."""
    return apply_decisions(project, (yield from scan_images(project)))


def scan_images(project: Project) -> Work[Scan]:
    """Look into the folders of images; what is decided does not matter. Raises DatasetError."""
    roots, settings = image_roots(project), read_settings(project)
    yield from fetch_images(project, settings.images)
    founds = yield from _find_images(project, roots, settings)
    places = [place for found in founds for place in found.images]
    made = _find_made(project, places)
    founds.append(made)
    captions = _caption_files(founds)
    first_problems = tuple(problem for found in founds for problem in found.problems)
    problems: list[Problem] = []
    items: list[Item] = []
    with open_index(project.cache) as index:
        everywhere = (*places, *made.images)
        read = yield from read_facts(index, [place.path for place in everywhere])
    for place, facts in zip(everywhere, read, strict=True):
        if isinstance(facts, str):
            problems.append(Problem("unreadable", place.name, place.path, facts))
            continue
        caption = _caption(_find_caption(captions, place.path), place, problems, settings.encoding)
        items.append(Item(place.path, place.name, facts, caption, place.folder, place.repeats))
    yield from _warn_of_captions(problems)
    yield from _note_frames(items)
    if not items:
        listed = "\n".join(f"  {problem.name}: {problem.message}" for problem in [*first_problems, *problems][:5])
        raise DatasetError(f"none of its {len(places)} images can be read:\n{listed}", where=roots[0])
    return Scan(tuple(items), first_problems, tuple(problems), _orphans(founds))


def check_images(project: Project) -> Work[None]:
    """Raise what `read_dataset` raises where it has no images; none is opened, unless so many are rejected that all
    may be. Images behind a URL are not asked for."""
    settings = read_settings(project)
    if any(url_of(images) for images in settings.images):
        return
    founds = yield from _find_images(project, image_roots(project), settings)
    rejected = sum(standing.rejected for standing in read_decisions(project).by_image.values())
    if rejected >= sum(len(found.images) for found in founds):
        yield from read_dataset(project)


def _find_images(project: Project, roots: Sequence[Path], settings: DatasetTable) -> Work[list[Found]]:
    """The files in the folders of images. Raises DatasetError, NoImagesError."""
    ours = {
        project.built_dataset.parent,
        project.runs,
        project.exams,
        project.made,
    }  # images = ["."] must not find those
    founds: list[Found] = []
    for root, prefix in zip(roots, _prefixes(roots), strict=True):
        _check(project, root)
        founds.append((yield from find_root(root, prefix, ours, project.root, follow_links=settings.follow_links)))
    if not any(found.images for found in founds):
        where = settings.images[0] if url_of(settings.images[0]) else roots[0]
        raise NoImagesError("no images in it.", where=where, hint=_PUT_IMAGES)
    return founds


def apply_decisions(project: Project, scan: Scan) -> Dataset:
    """The dataset of a scan as it is decided now: reads the decisions alone, no image. Raises DatasetError,
    ProjectError."""
    decisions = read_decisions(project)
    problems = list(scan.first_problems)
    problems += [Problem("curation", project.curation.name, project.curation, text) for text in decisions.problems]
    problems += scan.other_problems
    present = [item for item in scan.items if item.folder != MADE or item.facts.sha256 not in decisions.withdrawn]
    decided = _decide(_assign_members(project, present), decisions, read_lineage(project), problems)
    rejected = _rejected(decided, decisions)
    kept = tuple(item for item in decided if item.name not in rejected)
    return Dataset(kept, tuple(problems), scan.orphans, tuple(item for item in decided if item.name in rejected))


_PUT_IMAGES = "Put your images there, or name their folder in lora.toml: [dataset] images."


def _check(project: Project, root: Path) -> None:
    if root.resolve() == project.made:
        message = f'images: "{MADE}" holds what was made, and is always read.'
        raise ProjectError(message, where=project.where("dataset"), hint="Name the folders of your own images only.")
    if not root.exists():
        raise DatasetError("no such folder of images.", where=root, hint=_PUT_IMAGES)
    if not root.is_dir():
        raise DatasetError("not a folder of images.", where=root, hint="Name the folder that the file is in.")


def _prefixes(roots: Sequence[Path]) -> Iterator[str]:
    """What makes names unique over several roots: nothing for one, else the root's name (numbered if repeated)."""
    if len(roots) == 1:
        yield ""
        return
    seen: dict[str, int] = {}
    for root in roots:
        count = seen[root.name] = seen.get(root.name, 0) + 1
        yield f"{root.name}/" if count == 1 else f"{root.name}-{count}/"


def _find_made(project: Project, places: Sequence[Place]) -> Found:
    """The made pictures, named apart from the user's."""
    if not project.made.is_dir():
        return Found((), (), ())
    names = {place.name.partition("/")[0] for place in places if "/" in place.name}
    prefix, number = MADE, 2
    while prefix in names:
        prefix, number = f"{MADE}-{number}", number + 1
    found = find_files(project.made, f"{prefix}/")
    return replace(found, images=tuple(replace(place, folder=MADE, repeats=1) for place in found.images))


def _caption_files(founds: Sequence[Found]) -> dict[str, Path]:
    """Caption file by its own path without extension, as it is and composed; a .txt goes before others."""
    files: dict[str, Path] = {}
    places = [place for found in founds for place in found.captions]
    for form in (str, composed):  # what is spelt the same goes before what only looks the same
        for place in places:
            stem = form(place.path.with_suffix(""))
            ours = form is str and place.path.suffix.lower() == CAPTION_EXTENSION
            if stem not in files or ours:
                files[stem] = place.path
    return files


def _find_caption(files: Mapping[str, Path], image: Path) -> Path | None:
    """The caption file of an image: that of its stem, else the one that carries its whole name ("a.jpg.txt")."""
    stem = image.with_suffix("")
    names = (str(stem), composed(stem), str(image), composed(image))
    return next((files[name] for name in names if name in files), None)


def _caption(file: Path | None, place: Place, problems: list[Problem], encoding: str) -> str | None:
    """The text of a caption file; one that cannot be read counts as none, and is listed."""
    if file is None:
        return None
    try:
        return decode(file.read_bytes(), encoding).strip()
    except NotTextError as fault:
        way = Sentence("Save it again as UTF-8, or say so in [dataset]: ", Write(f'encoding = "{fault.guess}"'))
        message = f"its caption is {fault}. {way}"
    except OSError as fault:
        message = f"its caption cannot be opened: {fault.strerror}."
    problems.append(Problem("caption", place.name, place.path, message))
    return None


def _warn_of_captions(problems: Sequence[Problem]) -> Iterator[Note]:
    """One warning for all captions that cannot be read, wherever the dataset is used."""
    broken = [problem for problem in problems if problem.kind == "caption"]
    if broken:
        what = "1 caption cannot" if len(broken) == 1 else f"{len(broken)} captions cannot"
        message = f"{what} be read, and the pictures count as without one: {broken[0].name}: {broken[0].message}"
        yield Note(message, "warning", "D17")


def _note_frames(items: Sequence[Item]) -> Iterator[Note]:
    """One note for all files that hold more than the picture that is used."""
    moving = [item.name for item in items if item.facts.moves]
    if moving:
        what = f"{moving[0]} holds" if len(moving) == 1 else f"{len(moving)} files ({moving[0]}, ...) hold"
        yield Note(f"{what} several frames: the first one counts.")


def _orphans(founds: Sequence[Found]) -> tuple[Path, ...]:
    paths = [place.path for found in founds for place in found.images]
    paths += [problem.path for found in founds for problem in found.problems]
    owners = {composed(path.with_suffix("")) for path in paths} | {composed(path) for path in paths}
    files = (place.path for found in founds for place in found.captions)
    return tuple(file for file in files if composed(file.with_suffix("")) not in owners)


def _assign_members(project: Project, items: Sequence[Item]) -> list[Item]:
    """The items with their members of the bundle. Raises ProjectError when a folder of a member has no images, or an
    image has two members (T10)."""
    if not project.bundle:
        return list(items)
    owners: dict[str, str] = {}
    for name, member in project.bundle.items():
        for folder in member.folders:
            where = project.where(f"bundle.{name}")
            inside = [item for item in items if _is_inside(project, item, folder)]
            if not inside:
                folders = sorted({item.folder for item in items if item.folder and item.folder != MADE})
                hint = did_you_mean(folder, folders) or f"Folders with images: {', '.join(folders) or 'none'}."
                raise ProjectError(f'folders: "{folder}" has no images.', where=where, hint=hint)
            for item in inside:
                if owners.setdefault(item.name, name) != name:
                    message = f'folders: "{folder}" has {item.name}, which is in [bundle.{owners[item.name]}] too.'
                    raise ProjectError(message, where=where, hint="An image belongs to one member.")
    return [replace(item, member=owners.get(item.name)) for item in items]


def _is_inside(project: Project, item: Item, folder: str) -> bool:
    if item.folder == MADE:
        return False
    return (
        item.folder == folder or item.name.startswith(f"{folder}/") or item.path.is_relative_to(project.root / folder)
    )


def _decide(
    items: Sequence[Item], decisions: Decisions, lineage: Mapping[str, Lineage], problems: list[Problem]
) -> list[Item]:
    """The items with roles, repeats, crops and labels. A made picture has its sources' member, role and repeats unless
    decided otherwise."""
    by_sha: dict[str, Item] = {}
    decided: dict[str, Item] = {}

    def settle(item: Item, above: frozenset[str]) -> Item:
        if item.name in decided:
            return decided[item.name]
        sha = item.facts.sha256
        origin = lineage.get(sha) if item.folder == MADE else None
        if origin is not None:
            sources = [by_sha[source] for source in origin.sources if source in by_sha and source not in above]
            item = _inherit(item, [settle(source, above | {sha}) for source in sources], origin)
        else:
            item = replace(item, role=folder_role(item.folder))
        decided[item.name] = _settled(item, decisions.about(sha), problems)
        return decided[item.name]

    for item in items:
        by_sha.setdefault(item.facts.sha256, item)
    return [settle(item, frozenset()) for item in items]


def _inherit(item: Item, sources: Sequence[Item], origin: Lineage) -> Item:
    members = {source.member for source in sources}
    roles = {source.role for source in sources}
    return replace(
        item,
        lineage=origin,
        member=members.pop() if len(members) == 1 else None,
        role=next((role for role in ROLES if role in roles), None),
        repeats=max((source.repeats for source in sources), default=item.repeats),
    )


def _settled(item: Item, standing: Standing, problems: list[Problem]) -> Item:
    crop = standing.crop
    if crop is not None and (crop[2] > item.facts.width or crop[3] > item.facts.height):
        message = f"its crop {crop} lies outside of its {item.facts.width}x{item.facts.height} pixels; not cropped."
        problems.append(Problem("curation", item.name, item.path, message))
        crop = None
    return replace(
        item,
        role=standing.role or item.role,
        repeats=standing.repeats or item.repeats,
        crop=crop,
        facets=standing.facets,
    )


def _rejected(items: Sequence[Item], decisions: Decisions) -> frozenset[str]:
    """The names of the rejected items. Of identical copies those stay that the decision names, else the first."""
    copies: dict[str, list[str]] = {}
    for item in items:
        if decisions.about(item.facts.sha256).rejected:
            copies.setdefault(item.facts.sha256, []).append(item.name)
    names: set[str] = set()
    for sha, same in copies.items():
        stays = decisions.about(sha).stays
        spared = set(stays) & set(same) or (set(same[:1]) if stays else set())
        names |= set(same) - spared
    return frozenset(names)
