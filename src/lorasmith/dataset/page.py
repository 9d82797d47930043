"""The inspection as one HTML file with its pictures inside: what is so, what to do, and the images side by side.

The page is `templates/inspection.html`; it needs no network and no script. Thumbnails are made for the images that
findings name and for a sample of the others, so that the file stays small whatever the dataset's size.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lorasmith.dataset.charts import Histogram, plan_histogram
from lorasmith.dataset.coverage import Cover, cover, divide
from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import LEVELS
from lorasmith.dataset.inspection import Inspection
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.dataset.rules import RULES
from lorasmith.dataset.rules.duplicates import BLURRED
from lorasmith.errors import ImageError
from lorasmith.images.crops import open_part
from lorasmith.images.opening import open_small
from lorasmith.project import FILE_NAME, Project
from lorasmith.remedies import Action, Do, Give, Remedy, Sentence, Write
from lorasmith.storage.files import write_file
from lorasmith.templates import render

THUMBNAILS = 400
"""The most thumbnails on a page; about 4 kB each."""
PER_FINDING, PER_RULE, PER_FACET, SAMPLE, REJECTED = 12, 25, 6, 48, 12
_SIDE, _QUALITY = 128, 70


def write_page(project: Project, dataset: Dataset, inspection: Inspection, target: Path) -> Path:
    """Write the page to `target` and give its path. Raises StorageError."""
    return write_file(target, draw_page(project, dataset, inspection))


def draw_page(project: Project, dataset: Dataset, inspection: Inspection) -> str:
    """The page as HTML."""
    tone, verdict = _verdict(inspection)
    evidence = inspection.evidence
    shown = Counter(finding.rule for finding in inspection.findings)
    rejected = [item.name for item in dataset.rejected]
    return render(
        "inspection.html",
        album=_Album((*dataset.items, *dataset.rejected)),
        name=project.lora.name,
        kind=project.lora.subject.value,
        trigger=project.lora.trigger,
        members=[(name, member.trigger) for name, member in project.bundle.items()],
        content=list(_content(dataset)),
        tone=tone,
        verdict=verdict,
        counts=_counts(inspection),
        steps=list(_steps(project, inspection)),
        findings=list(_findings(project, inspection)),
        hidden=[(rule, count - PER_RULE) for rule, count in shown.items() if count > PER_RULE],
        everything=Give("json"),
        coverage=list(_coverage(evidence)),
        how_to_tell=_how_to_tell(project),
        shares=list(_shares(evidence)),
        charts=_charts(evidence),
        origins=list(_origins(project, evidence)),
        rejected=rejected[:REJECTED],
        more_rejected=max(0, len(rejected) - REJECTED),
        way_back=Sentence("Nothing was deleted; ", Do(Action.KEEP), " takes an image back."),
        sample_title=_sample_title(dataset),
        sample=_sample(dataset),
    )


class _Album:
    """Thumbnails, each in the page once, as a class of its style sheet."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = {item.name: item for item in items}
        self._made: dict[str, str] = {}
        self._places: dict[str, str] = {}

    def place(self, name: str) -> str:
        """The class of an image's thumbnail; empty when there is none."""
        if name not in self._places and name in self._items and len(self._made) < THUMBNAILS:
            data = _thumbnail(self._items[name])
            if data:
                self._places[name] = f"t{len(self._made)}"
                self._made[name] = data
        return self._places.get(name, "")

    def style(self) -> str:
        """The style sheet of the thumbnails that were asked for."""
        return "\n".join(
            f".t{number}{{background-image:url(data:image/jpeg;base64,{data})}}"
            for number, data in enumerate(self._made.values())
        )


def _thumbnail(item: Item) -> str:
    """A small JPEG in base64, of the decided crop; empty when the file went away."""
    try:
        image = open_small(item.path, _SIDE) if item.crop is None else open_part(item.path, item.crop)
    except ImageError:
        return ""
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    held = io.BytesIO()
    image.save(held, "JPEG", quality=_QUALITY)
    return base64.b64encode(held.getvalue()).decode("ascii")


def _content(dataset: Dataset) -> Iterator[str]:
    captioned = sum(1 for item in dataset.items if item.caption)
    made = sum(1 for item in dataset.items if item.lineage is not None)
    yield f"{len(dataset.items)} images"
    yield f"{captioned} with captions"
    if made:
        yield f"{made} of them made from others"
    if dataset.rejected:
        yield f"{len(dataset.rejected)} rejected"


def _verdict(inspection: Inspection) -> tuple[str, str]:
    standing = Counter(finding.level for finding in inspection.findings if finding.waived is None)
    if standing["error"]:
        return "not", "Not yet: mend the errors first."
    if standing["warning"]:
        return "maybe", "It can be trained; mending the warnings makes it better."
    return "ready", "Ready to train."


def _counts(inspection: Inspection) -> str:
    standing = Counter(finding.level for finding in inspection.findings if finding.waived is None)
    waived = sum(1 for finding in inspection.findings if finding.waived is not None)
    texts = [f"{standing[level]} {level}{'' if standing[level] == 1 else 's'}" for level in LEVELS if standing[level]]
    texts += [f"{waived} waived"] if waived else []
    return f"{', '.join(texts)}." if texts else "Nothing to complain about."


def _steps(project: Project, inspection: Inspection) -> Iterator[Remedy]:
    """What to do, as sentences."""
    root = project.root
    standing = [finding for finding in inspection.findings if finding.waived is None]
    going = inspection.removable
    if going:
        yield Sentence(
            f"Let it take out what can be taken out without asking ({_plural(len(going), 'image')}; nothing is deleted,"
            " and ",
            Do(Action.UNDO, project=root),
            " takes it back): ",
            Do(Action.TIDY, project=root),
        )
    if any(finding.level == "error" for finding in standing):
        rule = next(finding.rule for finding in standing if finding.level == "error")
        yield Sentence(
            "Mend the errors below, or accept a rule with a reason in ",
            Write(FILE_NAME),
            ": ",
            Write(f'[dataset] waive = {{ {rule} = "your reason" }}'),
        )
    elif any(finding.level == "warning" for finding in standing):
        yield Sentence("Look at the warnings below, then look again: ", Do(Action.INSPECT, project=root))
    if not any(inspection.evidence.words.values()):
        tag = Do(Action.TAG, project=root, tagger="doodle")
        yield Sentence("Give the images tags: ", tag, ", or name your own tagger.")
    yield Sentence("See the captions and what shaped them: ", Do(Action.TAG, project=root))
    yield Sentence("Train: ", Do(Action.TRAIN, project=root))


@dataclass(frozen=True)
class _Finding:
    """A finding as the page shows it; `more` images than it shows."""

    rule: str
    title: str
    level: str
    sentence: str
    advice: str
    waived: str | None
    images: tuple[str, ...]
    more: int
    is_group: bool


def _findings(project: Project, inspection: Inspection) -> Iterator[_Finding]:
    titles = {rule.id: rule.title for rule in RULES}
    groups = {group.images for group in inspection.groups}
    shown: Counter[str] = Counter()
    for finding in inspection.findings:
        shown[finding.rule] += 1
        if shown[finding.rule] <= PER_RULE:
            yield _Finding(
                rule=finding.rule,
                title=titles.get(finding.rule, ""),
                level=finding.level if finding.waived is None else "waived",
                sentence=finding.sentence,
                advice=str(finding.advice_on(project.root)),
                waived=finding.waived,
                images=finding.images[:PER_FINDING],
                more=len(finding.images) - PER_FINDING,
                is_group=finding.images in groups,
            )


@dataclass(frozen=True)
class _Facet:
    """A line of the coverage: `head` is its axis where that begins."""

    head: str
    facet: str
    state: str
    wanted: str
    rule: str
    images: tuple[str, ...]


@dataclass(frozen=True)
class _Coverage:
    """What one part shows; `worded` of its `count` images have words to tell by."""

    name: str
    worded: int
    count: int
    rows: tuple[_Facet, ...]


def _how_to_tell(project: Project) -> Remedy:
    return Sentence(
        "Nobody can tell yet: most images have neither tags nor labels. Tag them with ",
        Do(Action.TAG, project=project.root, tagger="doodle"),
        " or your own tagger, or label them with ",
        Do(Action.LABEL),
        ".",
    )


def _coverage(evidence: Evidence) -> Iterator[_Coverage]:
    for part in divide(evidence):
        covered = cover(evidence.subject, part)
        if covered:
            rows = tuple(map(_facet, covered, ["", *(entry.axis for entry in covered)]))
            yield _Coverage(part.name, sum(map(bool, part.said.values())), len(part.items), rows)


def _facet(entry: Cover, axis_before: str) -> _Facet:
    return _Facet(
        head=entry.axis if entry.axis != axis_before else "",
        facet=entry.facet.name,
        state=("enough" if entry.enough else "lacking") if entry.wanted else "welcome",
        wanted=f"{len(entry.images)} of {entry.wanted}" if entry.wanted else f"{len(entry.images)} (welcome)",
        rule=entry.facet.rule,
        images=entry.images[:PER_FACET],
    )


@dataclass(frozen=True)
class _Share:
    """A line of the balance: `head` is what is shared where that begins."""

    head: str
    name: str
    share: float
    text: str


def _shares(evidence: Evidence) -> Iterator[_Share]:
    yield from _shares_by(evidence, "folder", lambda item: item.folder or "no folder")
    if any(item.role for item in evidence.items):
        yield from _shares_by(evidence, "role", lambda item: item.role or "no role")
    if evidence.bundle:
        yield from _shares_by(evidence, "member", lambda item: item.member or "nobody")


def _shares_by(evidence: Evidence, what: str, group: Callable[[Item], str]) -> Iterator[_Share]:
    count: Counter[str] = Counter()
    weight: Counter[str] = Counter()
    for item in evidence.items:
        count[group(item)] += 1
        weight[group(item)] += item.repeats
    total = sum(weight.values()) or 1
    for place, name in enumerate(count):
        share = weight[name] / total
        text = f"{_plural(count[name], 'image')}, shown {weight[name]} times: {share:.0%}"
        yield _Share(what if place == 0 else "", name, share, text)


def _charts(evidence: Evidence) -> list[Histogram]:
    sides = [min(item.facts.width, item.facts.height) for item in evidence.items]
    blur_title = f"blur (reblur ratio; over {BLURRED:g} is blurred)"
    charts = [
        plan_histogram("shorter side, pixels", sides),
        plan_histogram(blur_title, list(evidence.blur.values()), BLURRED),
    ]
    if evidence.exposure:
        light = evidence.exposure.values()
        charts.append(plan_histogram("share of dark pixels", [one.dark for one in light], top=1.0))
        charts.append(plan_histogram("share of bright pixels", [one.bright for one in light], top=1.0))
        charts.append(plan_histogram("contrast", [one.contrast for one in light], top=1.0))
    return [chart for chart in charts if chart]


@dataclass(frozen=True)
class _Origin:
    what: str
    text: str


def _origins(project: Project, evidence: Evidence) -> Iterator[_Origin]:
    known = [evidence.provenance.get(item.facts.sha256) for item in evidence.items]
    given = project.provenance
    for what, fallback in (("source", given.source), ("author", given.author), ("licence", given.licence)):
        counts = Counter((getattr(one, what) if one else "") or fallback or "not known" for one in known)
        text = ", ".join(f"{value} ({count})" for value, count in counts.most_common(5))
        yield _Origin(what, text + (f" and {len(counts) - 5} more" if len(counts) > 5 else ""))
    if given.real_person:
        consent = given.consent or "not recorded: write it to [provenance] consent in lora.toml"
        yield _Origin("consent of the person", consent)


def _sample_title(dataset: Dataset) -> str:
    count = len(dataset.items)
    return "All images" if count <= SAMPLE else f"{SAMPLE} of the {count} images"


def _sample(dataset: Dataset) -> list[str]:
    step = max(1, -(-len(dataset.items) // SAMPLE))
    return [item.name for item in dataset.items[::step]]


def _plural(count: int, one: str) -> str:
    return f"{count} {one if count == 1 else one + 's'}"
