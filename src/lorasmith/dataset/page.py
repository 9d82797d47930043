"""The inspection as one HTML file with its pictures inside: what is so, what to do, and the images side by side.

The page is `page.html` beside this module, a `string.Template`. Every text from outside is escaped; the page needs no
network and no script. Thumbnails are made for the images that findings name and for a sample of the others, so that
the file stays small whatever the dataset's size.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from PIL import Image

from lorasmith.dataset.charts import draw_bar, draw_histogram
from lorasmith.dataset.coverage import Cover, Part, cover, divide
from lorasmith.dataset.evidence import Evidence
from lorasmith.dataset.findings import LEVELS, Finding
from lorasmith.dataset.inspection import Inspection
from lorasmith.dataset.reading import Dataset, Item
from lorasmith.dataset.rules import RULES
from lorasmith.dataset.rules.duplicates import BLURRED
from lorasmith.errors import ImageError
from lorasmith.images.crops import open_part
from lorasmith.images.opening import open_small
from lorasmith.project import Project
from lorasmith.remedies import Action, Do, Give, Remedy
from lorasmith.storage.files import write_file

THUMBNAILS = 400
"""The most thumbnails on a page; about 4 kB each."""
PER_FINDING, PER_RULE, PER_FACET, SAMPLE, REJECTED = 12, 25, 6, 48, 12
_SIDE, _QUALITY = 128, 70


def write_page(project: Project, dataset: Dataset, inspection: Inspection, target: Path) -> Path:
    """Write the page to `target` and give its path. Raises StorageError."""
    return write_file(target, draw_page(project, dataset, inspection))


def draw_page(project: Project, dataset: Dataset, inspection: Inspection) -> str:
    """The page as HTML."""
    album = _Album((*dataset.items, *dataset.rejected))
    tone, verdict = _verdict(inspection)
    shown = {
        "name": escape(project.lora.name),
        "kind": escape(project.lora.subject.value),
        "headline": _headline(project, dataset),
        "tone": tone,
        "verdict": verdict,
        "counts": _counts(inspection),
        "steps": "".join(f"<li>{step}</li>" for step in _steps(project, inspection)),
        "findings": _findings(project, inspection, album),
        "coverage": _coverage(project, inspection.evidence, album),
        "balance": _balance(inspection.evidence),
        "charts": _charts(inspection.evidence),
        "provenance": _provenance(project, inspection.evidence),
        "rejected": _rejected(dataset, album),
        "sample_title": escape(_sample_title(dataset)),
        "sample": _sample(dataset, album),
    }
    template = Template(files("lorasmith.dataset").joinpath("page.html").read_text("utf-8"))
    return template.substitute(shown, thumbnails=album.style())


class _Album:
    """Thumbnails, each in the page once, as a class of its style sheet."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = {item.name: item for item in items}
        self._made: dict[str, str] = {}
        self._places: dict[str, str] = {}

    def figure(self, name: str, remark: str = "", *, kept: bool = False) -> str:
        """One image with its name below; a name without an image, or one thumbnail too many, is a text only."""
        place = self._place(name)
        small = f'<div class="pic {place}" role="img" aria-label="{escape(name)}"></div>' if place else ""
        marked = "<b>keep</b> " if kept else ""
        below = f"{marked}{escape(name)}{f'<br>{escape(remark)}' if remark else ''}"
        return f"<figure{' class=kept' if kept else ''}>{small}<figcaption>{below}</figcaption></figure>"

    def small(self, name: str) -> str:
        """One image without words."""
        place = self._place(name)
        return f'<div class="pic {place}" role="img" title="{escape(name)}"></div>' if place else ""

    def style(self) -> str:
        """The style sheet of the thumbnails that were asked for."""
        return "\n".join(
            f".t{number}{{background-image:url(data:image/jpeg;base64,{data})}}"
            for number, data in enumerate(self._made.values())
        )

    def _place(self, name: str) -> str:
        """The class of an image's thumbnail; empty when there is none."""
        if name not in self._places and name in self._items and len(self._made) < THUMBNAILS:
            data = _thumbnail(self._items[name])
            if data:
                self._places[name] = f"t{len(self._made)}"
                self._made[name] = data
        return self._places.get(name, "")


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


def _code(remedy: Remedy) -> str:
    return f"<code>{escape(str(remedy))}</code>"


def _headline(project: Project, dataset: Dataset) -> str:
    captioned = sum(1 for item in dataset.items if item.caption)
    made = sum(1 for item in dataset.items if item.lineage is not None)
    parts = [f"{len(dataset.items)} images", f"{captioned} with captions"]
    parts += [f"{made} of them made from others"] if made else []
    parts += [f"{len(dataset.rejected)} rejected"] if dataset.rejected else []
    called = f"called with <code>{escape(project.lora.trigger)}</code>"
    if project.bundle:
        called = "a bundle of " + ", ".join(
            f"{escape(name)} (<code>{escape(member.trigger)}</code>)" for name, member in project.bundle.items()
        )
    return f"A {project.lora.subject.value}, {called}: {', '.join(parts)}."


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
    told = [f"{standing[level]} {level}{'' if standing[level] == 1 else 's'}" for level in LEVELS if standing[level]]
    told += [f"{waived} waived"] if waived else []
    return f"{', '.join(told)}." if told else "Nothing to complain about."


def _steps(project: Project, inspection: Inspection) -> Iterator[str]:
    """What to do, as sentences."""
    root = project.root
    standing = [finding for finding in inspection.findings if finding.waived is None]
    going = inspection.removable
    if going:
        yield (
            f"Let it take out what can be taken out without asking ({_plural(len(going), 'image')}; nothing is deleted,"
            f" and {_code(Do(Action.UNDO, project=root))} takes it back): {_code(Do(Action.TIDY, project=root))}"
        )
    if any(finding.level == "error" for finding in standing):
        rule = next(finding.rule for finding in standing if finding.level == "error")
        yield (
            "Mend the errors below, or accept a rule with a reason in <code>lora.toml</code>: "
            f'<code>[dataset] waive = {{ {escape(rule)} = "your reason" }}</code>'
        )
    elif any(finding.level == "warning" for finding in standing):
        yield f"Look at the warnings below, then look again: {_code(Do(Action.INSPECT, project=root))}"
    if not any(inspection.evidence.words.values()):
        tag = Do(Action.TAG, project=root, tagger="doodle")
        yield f"Give the images tags: {_code(tag)}, or name your own tagger."
    yield f"See the captions and what shaped them: {_code(Do(Action.TAG, project=root))}"
    yield f"Train: {_code(Do(Action.TRAIN, project=root))}"


def _findings(project: Project, inspection: Inspection, album: _Album) -> str:
    if not inspection.findings:
        return "<p>Nothing to complain about.</p>"
    titles = {rule.id: rule.title for rule in RULES}
    groups = {group.images: group.reason for group in inspection.groups}
    shown: Counter[str] = Counter()
    cards = []
    for finding in inspection.findings:
        shown[finding.rule] += 1
        if shown[finding.rule] <= PER_RULE:
            cards.append(_finding(project, finding, titles, finding.images in groups, album))
    for rule, count in shown.items():
        if count > PER_RULE:
            cards.append(
                f'<p class="soft">{rule}: {count - PER_RULE} more findings; all of them with {Give("json")}.</p>'
            )
    return "".join(cards)


def _finding(project: Project, finding: Finding, titles: Mapping[str, str], is_group: bool, album: _Album) -> str:
    waived = finding.waived is not None
    title = escape(titles.get(finding.rule, ""))
    pictures = "".join(
        album.figure(name, kept=is_group and place == 0) for place, name in enumerate(finding.images[:PER_FINDING])
    )
    rest = len(finding.images) - PER_FINDING
    more = f'<p class="soft">and {_plural(rest, "more image", "more images")}</p>' if rest > 0 else ""
    advice = (
        f"Accepted: {escape(finding.waived or '')}" if waived else f"→ {escape(str(finding.advice_on(project.root)))}"
    )
    return (
        f'<div class="finding {"waived" if waived else finding.level}">'
        f'<p><span class="badge" title="{title}">{escape(finding.rule)}</span>'
        f'<span class="level">{"waived" if waived else finding.level}</span>{escape(finding.sentence)}</p>'
        f'<p class="soft">{advice}</p>'
        f"{f'<div class=strip>{pictures}</div>' if pictures else ''}{more}</div>"
    )


def _coverage(project: Project, evidence: Evidence, album: _Album) -> str:
    parts = [(part, cover(evidence.subject, part)) for part in divide(evidence)]
    if not any(covered for _, covered in parts):
        tag = Do(Action.TAG, project=project.root, tagger="doodle")
        return (
            "<p>Nobody can tell yet: most images have neither tags nor labels. Tag them with "
            f"{_code(tag)} or your own tagger, or label them with {_code(Do(Action.LABEL))}.</p>"
        )
    return "".join(_coverage_table(part, covered, album) for part, covered in parts if covered)


def _coverage_table(part: Part, covered: Sequence[Cover], album: _Album) -> str:
    rows, axis = [], ""
    for entry in covered:
        head = entry.axis if entry.axis != axis else ""
        axis = entry.axis
        state = ("enough" if entry.enough else "lacking") if entry.wanted else "welcome"
        wanted = f"{len(entry.images)} of {entry.wanted}" if entry.wanted else f"{len(entry.images)} (welcome)"
        pictures = "".join(album.small(name) for name in entry.images[:PER_FACET])
        rows.append(
            f'<tr class="{state}"><th>{escape(head)}</th><td>{escape(entry.facet.name)}</td><td>{wanted}</td>'
            f'<td>{escape(entry.facet.rule)}</td><td><div class="small strip">{pictures}</div></td></tr>'
        )
    title = f"<h3>{escape(part.name)}</h3>" if part.name else ""
    told = sum(map(bool, part.said.values()))
    note = f'<p class="soft">As far as tags and labels tell, which {told} of {len(part.items)} images have.</p>'
    return f"{title}{note}<table>{''.join(rows)}</table>"


def _balance(evidence: Evidence) -> str:
    rows = list(_bars(evidence, "folder", lambda item: item.folder or "no folder"))
    if any(item.role for item in evidence.items):
        rows += _bars(evidence, "role", lambda item: item.role or "no role")
    if evidence.bundle:
        rows += _bars(evidence, "member", lambda item: item.member or "nobody")
    return "".join(rows)


def _bars(evidence: Evidence, what: str, group: Callable[[Item], str]) -> Iterator[str]:
    count: Counter[str] = Counter()
    weight: Counter[str] = Counter()
    for item in evidence.items:
        count[group(item)] += 1
        weight[group(item)] += item.repeats
    total = sum(weight.values()) or 1
    for place, name in enumerate(count):
        share = weight[name] / total
        told = f"{_plural(count[name], 'image')}, shown {weight[name]} times: {share:.0%}"
        head = what if place == 0 else ""
        yield f"<tr><th>{head}</th><td>{escape(name)}</td><td>{draw_bar(share)}</td><td>{told}</td></tr>"


def _charts(evidence: Evidence) -> str:
    sides = [min(item.facts.width, item.facts.height) for item in evidence.items]
    charts = [
        draw_histogram("shorter side, pixels", sides),
        draw_histogram(f"blur (reblur ratio; over {BLURRED:g} is blurred)", list(evidence.blur.values()), BLURRED),
    ]
    if evidence.exposure:
        light = evidence.exposure.values()
        charts.append(draw_histogram("share of dark pixels", [one.dark for one in light], top=1.0))
        charts.append(draw_histogram("share of bright pixels", [one.bright for one in light], top=1.0))
        charts.append(draw_histogram("contrast", [one.contrast for one in light], top=1.0))
    return "".join(chart for chart in charts if chart)


def _provenance(project: Project, evidence: Evidence) -> str:
    known = [evidence.provenance.get(item.facts.sha256) for item in evidence.items]
    given = project.provenance
    rows = []
    for what, fallback in (("source", given.source), ("author", given.author), ("licence", given.licence)):
        counts = Counter((getattr(one, what) if one else "") or fallback or "not known" for one in known)
        told = ", ".join(f"{escape(value)} ({count})" for value, count in counts.most_common(5))
        more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
        rows.append(f"<tr><th>{what}</th><td>{told}{more}</td></tr>")
    if given.real_person:
        consent = escape(given.consent) or "not recorded: write it to [provenance] consent in lora.toml"
        rows.append(f"<tr><th>consent of the person</th><td>{consent}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def _rejected(dataset: Dataset, album: _Album) -> str:
    if not dataset.rejected:
        return ""
    names = [item.name for item in dataset.rejected]
    pictures = "".join(album.figure(name) for name in names[:REJECTED])
    more = f'<p class="soft">and {len(names) - REJECTED} more</p>' if len(names) > REJECTED else ""
    note = f'<p class="soft">Nothing was deleted; {_code(Do(Action.KEEP))} takes an image back.</p>'
    return f'<section><h2>Rejected</h2>{note}<div class="strip">{pictures}</div>{more}</section>'


def _sample_title(dataset: Dataset) -> str:
    count = len(dataset.items)
    return "All images" if count <= SAMPLE else f"{SAMPLE} of the {count} images"


def _sample(dataset: Dataset, album: _Album) -> str:
    step = max(1, -(-len(dataset.items) // SAMPLE))
    return "".join(album.figure(item.name) for item in dataset.items[::step])


def _plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
