"""A card's facts: from the project, the exam of the file, and what the file says itself. Nothing is made up."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lorasmith.adapters.algorithms import ALGORITHMS
from lorasmith.adapters.runs import newest_adapters
from lorasmith.bases.families import FAMILIES
from lorasmith.bases.hub import is_hub_id
from lorasmith.container import read_container
from lorasmith.dataset.provenance import read_provenance
from lorasmith.errors import AdapterError, UsageError
from lorasmith.exam.chosen import chosen_adapter
from lorasmith.library.cards.card import Card, CardExam, CardFigure, CardPicture, CardSource
from lorasmith.library.hashes import Hashes, hash_file
from lorasmith.library.telling import Head, Teller
from lorasmith.project import EMBEDDED, FILE_NAME, Project, open_project, safe_name
from lorasmith.remedies import Action, Do
from lorasmith.tags.refusal import refuse

USUAL_STRENGTH = 0.8
"""C3: what is tried where nothing was measured."""
_TRAINING = (
    ("images", "ss_num_train_images", ""),
    ("epochs", "ss_epoch", " of {ss_num_epochs}"),
    ("steps", "ss_steps", " of {ss_max_train_steps}"),
    ("batch", "ss_total_batch_size", ""),
    ("resolution", "ss_resolution", ""),
    ("learning rate of the denoiser", "ss_unet_lr", ""),
    ("learning rate of the text encoder", "ss_text_encoder_lr", ""),
    ("learning-rate schedule", "ss_lr_scheduler", ""),
    ("optimizer", "ss_optimizer", ""),
    ("rank", "ss_network_dim", ", alpha {ss_network_alpha}"),
    ("clip skip", "ss_clip_skip", ""),
    ("min-SNR gamma", "ss_min_snr_gamma", ""),
    ("noise offset", "ss_noise_offset", ""),
    ("seed", "ss_seed", ""),
    ("made with", "ss_training_comment", ""),
)
"""(word, key of the header, what is added), in the card's order; keys that are not there are left out."""
_NONE = (None, "", "None", "null")


def find_target(target: Path) -> tuple[Project | None, Path]:
    """The project and the adapter file that a card is wanted of: of a project what a person chose, else what its newest
    exam chose, else the newest run's last. Raises UsageError, ProjectError."""
    if target.is_file() and target.name != FILE_NAME:
        whole = target.absolute()
        root = next((folder for folder in whole.parents if (folder / FILE_NAME).is_file()), None)
        return (None if root is None else open_project(root)), whole
    project = open_project(target)
    if (own := chosen_adapter(project)) is not None:
        return project, own
    for figures in sorted(project.exams.glob("*/figures.json"), reverse=True):
        chosen = _chosen(project, _read_json(figures))
        if chosen is not None:
            return project, chosen
    adapters = newest_adapters(project.runs)
    if not adapters:
        remedy = Do(Action.TRAIN, project=project.root)
        raise UsageError("no adapter was trained yet.", where=project.root, hint="Make one:", remedy=remedy)
    return project, adapters[-1]


def gather_card(
    project: Project | None,
    file: Path,
    pictures: Sequence[CardPicture] = (),
    *,
    by_eye: CardFigure | None = None,
    name: str = "",
    licence: str = "",
) -> Card:
    """The card of an adapter file; `name` and `licence` go over what the project says. Raises AdapterError for what is
    no adapter, RefusedError."""
    head = Teller().tell(file, file.stat().st_size)
    if head.problem and head.kind != "adapter":
        raise AdapterError(head.problem, where=file)
    header = read_container(file, AdapterError, "an adapter").metadata
    hashes = hash_file(file)
    document = find_exam(project, file)
    exam = None if document is None else read_exam(document)
    recommended = _recommended(document or {}, header)
    strength = recommended[0] if recommended is not None else exam.strength if exam is not None else USUAL_STRENGTH
    window = recommended[1] if recommended is not None else None
    called = name or (safe_name(project.lora.name) if project is not None else file.stem)
    family = FAMILIES.get(head.family or "")
    base = _base(project, header)
    given = None if project is None else project.provenance
    chosen = licence or (given.licence if given is not None else "") or header.get("modelspec.license", "")
    card = Card(
        name=called,
        title=(project.lora.name if project is not None else "") or head.title or called,
        file=file,
        kind="" if project is None else str(project.lora.subject),
        triggers=_triggers(project, head),
        vision=(project.lora.vision if project is not None else "") or head.description,
        author=(given.author if given is not None else "") or header.get("modelspec.author", ""),
        licence=chosen,
        family=head.family or "",
        family_title=family.title if family is not None else head.family or "unknown",
        base=base,
        base_id=base if base != EMBEDDED and is_hub_id(base) else "",
        algorithms=head.algorithms,
        algorithm_titles=tuple(ALGORITHMS[each].title if each in ALGORITHMS else each for each in head.algorithms),
        rank=head.rank,
        bytes=file.stat().st_size,
        hashes=_named_hashes(hashes),
        made=_date(header),
        strength=strength,
        measured=recommended is not None,
        window=window,
        training=tuple(_training(header)),
        images=_number(header.get("ss_num_train_images")),
        sources=() if project is None else read_sources(project),
        source="" if given is None else given.source,
        real_person=given is not None and given.real_person,
        consent="" if given is None else given.consent,
        known_provenance=given is not None,
        exam=exam,
        by_eye=by_eye,
        pictures=tuple(pictures),
    )
    refuse(card.words, file.name)
    return card


def find_exam(project: Project | None, file: Path) -> Mapping[str, Any] | None:
    """The document of the newest exam that chose this very file; None where there is none."""
    if project is None:
        return None
    for figures in sorted(project.exams.glob("*/figures.json"), reverse=True):
        document = _read_json(figures)
        chosen = _chosen(project, document)
        if chosen is not None and (chosen == file or _same_weights(chosen, file)):
            return document
    return None


def read_exam(document: Mapping[str, Any]) -> CardExam:
    """An exam's document as a card has it."""
    raw = _table(document.get("figures"))
    base = _table(raw.get("base"))
    figures = {
        name: CardFigure(each["value"], each["low"], each["high"], each["n"], _table(base.get(name)).get("value"))
        for name, each in raw.items()
        if name != "base" and isinstance(each, Mapping) and {"value", "low", "high", "n"} <= each.keys()
    }
    judge, settings, window = (_table(document.get(key)) for key in ("judge", "settings", "strength"))
    rates = [rate for rate in _table(judge.get("rates")).values() if isinstance(rate, int | float)]
    unseen = [value for values in _table(document.get("unseen")).values() for value in values]
    identity = [str(value) for value in _table(document.get("identity")).values()]
    stacking = document.get("stacking")
    return CardExam(
        verdict=str(document.get("verdict", "")),
        figures=figures,
        judge=str(judge.get("name", "")),
        agreement=min(rates) if rates else None,
        strength=float(settings.get("strength") or window.get("recommended") or 1.0),
        judged=tuple(map(str, document.get("judged") or identity)),
        not_judged=tuple(map(str, document.get("not_judged") or ())),
        unseen=tuple(map(str, unseen)),
        stacking=tuple(each for each in stacking if isinstance(each, Mapping)) if isinstance(stacking, list) else (),
        usable=not window or window.get("from") is not None,
    )


def read_sources(project: Project) -> tuple[CardSource, ...]:
    """Where the project's pictures are from, as far as is known: by site, author and licence, the most first. Names of
    a user's own files stay at home."""
    counts = Counter((_site(one.source), one.author, one.licence) for one in read_provenance(project).values())
    return tuple(CardSource(count, *where) for where, count in counts.most_common())


def _site(source: str) -> str:
    """The host of an address; "the maker's own files" for a file's name."""
    parts = urlsplit(source)
    return parts.hostname or "" if parts.scheme in ("http", "https") else "the maker's own files"


def _chosen(project: Project, document: Mapping[str, Any]) -> Path | None:
    """The file that an exam chose, also when the project was moved since."""
    told = Path(str(document.get("chosen") or ""))
    if told.is_file():
        return told
    for place in (project.runs, project.exams):
        if place.name in told.parts:
            begin = len(told.parts) - 1 - told.parts[::-1].index(place.name)
            moved = project.root.joinpath(*told.parts[begin:])
            if moved.is_file():
                return moved
    return None


def _same_weights(one: Path, other: Path) -> bool:
    """Whether two files have the same tensors, whatever their headers say."""
    payload = hash_file(one).payload
    return bool(payload) and payload == hash_file(other).payload


def _triggers(project: Project | None, head: Head) -> dict[str, str]:
    if project is None:
        return {"" if number == 0 else str(number + 1): phrase for number, phrase in enumerate(head.triggers)}
    members = {name: member.trigger for name, member in project.bundle.items()}
    return members or {"": project.lora.trigger}


def _base(project: Project | None, header: Mapping[str, str]) -> str:
    """The base's name: a hub's id, "doodle", or a file's name without its folders."""
    named = "" if project is None else project.lora.base
    if not named or (named != EMBEDDED and not is_hub_id(named)):
        said = header.get("ss_sd_model_name", "")
        named = named if said in _NONE else said
        return named if is_hub_id(named) and not Path(named).is_absolute() else Path(named).name
    return named


def _recommended(
    document: Mapping[str, Any], header: Mapping[str, str]
) -> tuple[float, tuple[float, float] | None] | None:
    """The strength that an exam recommends with its window, by its document, else by what it left in the header."""
    from lorasmith.adapters.recommendation import Recommendation

    told = Recommendation.of(document) or Recommendation.read(header)
    if told is None:
        return None
    return told.strength, None if told.low is None or told.high is None else (told.low, told.high)


def _training(header: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    rows = []
    for word, key, more in _TRAINING:
        value = header.get(key)
        if value in _NONE:
            continue
        try:
            added = more.format(**header)
        except KeyError:
            added = ""
        rows.append((word, f"{_short(str(value))}{added if 'None' not in added else ''}"))
    return rows


def _short(value: str) -> str:
    """A size as people write it; an optimizer without the path of its module."""
    name, bracket, arguments = value.partition("(")
    if numbers := re.fullmatch(r"\((\d+), ?(\d+)\)", value):
        return f"{numbers[1]} x {numbers[2]}"
    if bracket and name:
        return f"{name.rpartition('.')[2]}({arguments}"[:200]
    return value[:200]


def _named_hashes(hashes: Hashes) -> dict[str, str]:
    told = {"SHA256": hashes.sha256, "AutoV2": hashes.sha256[:10], "AutoV3": hashes.payload[:12]}
    return {name: value for name, value in told.items() if value}


def _date(header: Mapping[str, str]) -> str:
    told = header.get("modelspec.date", "")[:10]
    try:
        return told or datetime.fromtimestamp(float(header["ss_training_finished_at"]), UTC).date().isoformat()
    except (KeyError, ValueError, OSError, OverflowError):
        return ""


def _read_json(file: Path) -> Mapping[str, Any]:
    try:
        return _table(json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, RecursionError):
        return {}


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and value.isdecimal() else None
