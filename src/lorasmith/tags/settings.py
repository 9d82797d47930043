"""[tags]: how captions are made of tags."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from lorasmith.project import Project
from lorasmith.schema import TableModel, read_table
from lorasmith.tags.categories import CATEGORIES, CHARACTER
from lorasmith.tags.words import split_tags, tag_key

FAITHFUL = {"flexible": 0.25, "balanced": 0.5, "faithful": 0.75, "strict": 1.0}
"""Names of places on the dial `faithful`."""
_CATEGORY_NAMES = {number: name for name, number in CATEGORIES.items()}


def _listed(value: object) -> object:
    """A list of tags from a TOML list or from one comma-separated text, or a mixture."""
    if isinstance(value, str):
        return split_tags(value)
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return tuple(tag for part in value for tag in split_tags(part))
    return value


TagList = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Share = Annotated[float, Field(ge=0, le=1)]


class ImageTags(TableModel):
    """[tags.images."PATTERN"]: tags that the images of that name get, and tags that they lose (T13)."""

    add: TagList = ()
    remove: TagList = ()


_PROMPT = "Describe this picture for training an image model, in one or two plain sentences. Say only what is seen."


class CaptionerTable(TableModel):
    """[tags.captioner]: an endpoint that says sentences of pictures (T12)."""

    url: Annotated[str, Field(description="an endpoint of OpenAI's chat API, such as http://localhost:8080/v1")] = ""
    model: Annotated[str, Field(description="its model's name, where it has several")] = ""
    prompt: Annotated[str, Field(description="what it is asked about each picture")] = _PROMPT
    concurrency: Annotated[int, Field(ge=1, le=64, description="how many pictures it is asked about at once")] = 4


class TagsTable(TableModel):
    """Lists may be written as TOML lists or as one comma-separated text (T5); `*` stands for any letters."""

    source: Literal["caption", "tagger", "both"] = Field(
        "caption", description="whose tags: the caption's where there is one, the tagger's, or both"
    )
    tagger: str = Field("", description="whose stored tags, when several taggers have looked; empty: the last one")
    order: TagList = Field((), description="names of rules in the order in which they shall work")
    off: TagList = Field((), description="names of rules that do not work")

    threshold: Share = Field(0.35, description="least score of a tagger's general tags")
    character_threshold: float = Field(
        0.85, ge=0, le=1.5, description="least score of names of characters; more than 1 leaves them all out"
    )
    thresholds: dict[str, float] = Field(
        default_factory=dict, description="least score by category (`copyright = 0.6`) or by tag (`smile = 0.5`)"
    )
    sure: Share | None = Field(
        None,
        description="least score of a tagger's rare tags (T8) of what a person is and wears (T9); 0 is off; left out: "
        "0.7 for the embedded tagger, off for others",
    )
    doubt: Share = Field(0.0, description="drop a caption's tag to which the tagger gives less; 0 only reports (T9)")

    aliases: dict[str, str] = Field(default_factory=dict, description="tag = what it shall be called instead (T9)")
    undesired: TagList = Field((), description="tags that must not be trained (T5)")
    absorb: TagList = Field((), description="features of the subject, left out for the trigger to take over (T4)")
    keep: TagList = Field((), description="tags that neither the dial nor fusing may absorb")
    faithful: float | None = Field(
        None,
        description="dial of T4 from 0 (flexible) to 1 (faithful), or flexible, balanced, faithful, strict; "
        "left out: for a tagger's tags 0.75 of people and 0.5 of all else, 0 for your own captions",
    )
    rare_images: int = Field(15, ge=0, description="inconsistent features in fewer images keep their tags (T8)")
    consistent: Share = Field(0.5, description="a feature in this share of the images is consistent (T8, T6)")
    fused: Share | None = Field(
        None,
        description="absorb tags that go with the trigger in this share of images (T4); 0 is off; "
        "left out: for a tagger's tags of eight images or more 0.95, and 0.7 for the name of a style; off for your own "
        "captions",
    )
    unify: TagList = Field((), description="features that get one tag of their own: hair, eyes (T6)")

    quality: TagList = Field(
        ("low quality", "blurry", "worst quality"), description="tags for blurred and small images, as measured (T7)"
    )
    blurred: Share = Field(0.1, description="reblur ratio from which an image is blurred (T7)")
    small: Share = Field(0.5, description="an image with a side below this share of the median side is small (T7)")
    style: TagList = Field((), description="tags of a series' look, so that it can be switched off (T7)")
    background: TagList = Field((), description="names what a single-image set shows behind its subject (T14)")
    add: TagList = Field((), description="tags for every caption")
    images: dict[str, ImageTags] = Field(default_factory=dict, description="by image: tags to add, tags to remove")

    describe: Literal["everything", "nothing"] = Field(
        "everything", description="`nothing` leaves the trigger alone, for a style (T11)"
    )
    sentence: Literal["before", "after", "instead", "none"] = Field(
        "before", description="where a captioning program's sentence stands among the tags (T12)"
    )
    arrange: Literal["kept", "score", "groups", "name"] = Field(
        "kept", description="order of the tags: as they come, the likeliest first, subject to background, by name"
    )
    captioner: Annotated[CaptionerTable, Field(description="who writes sentences (T12)")] = CaptionerTable()
    core: str = Field("", description='form of the core tag: "auto" for the kind\'s own, or a text with NAME (T3)')
    prefix: str = Field("", description='phrase that starts the caption in the trigger\'s place, "photo of NAME" (T3)')

    @field_validator("faithful", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        if isinstance(value, str):
            if value.casefold() not in FAITHFUL:
                raise ValueError(f"a number from 0 to 1, or one of {', '.join(FAITHFUL)}.")
            return FAITHFUL[value.casefold()]
        return value

    @field_validator("faithful")
    @classmethod
    def _in_range(cls, value: float | None) -> float | None:
        if value is not None and not 0 <= value <= 1:
            raise ValueError("a number from 0 to 1.")
        return value

    @field_validator("thresholds")
    @classmethod
    def _scores(cls, value: dict[str, float]) -> dict[str, float]:
        for name, least in value.items():
            if not 0 <= least <= 1.5:
                raise ValueError(f"{name}: a number from 0 to 1; more than 1 leaves it out always.")
        return value

    @field_validator("unify")
    @classmethod
    def _known_features(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for feature in value:
            if feature not in ("hair", "eyes"):
                raise ValueError(f"{feature}: only hair and eyes can be unified.")
        return value

    @field_validator("core", "prefix")
    @classmethod
    def _one_line(cls, value: str) -> str:
        return " ".join(value.split())


def least_score(settings: TagsTable, tag: str, category: int) -> float:
    """The score in 0..1 from which on a tagger's tag of this category (a number of `CATEGORIES`) is said: its own, else
    its category's, else the general one."""
    (least,) = least_scores(settings, [(tag, category)])
    return least


def least_scores(settings: TagsTable, words: Iterable[tuple[str, int]]) -> list[float]:
    """What `least_score` says of many tags, each with its category."""
    own = {tag_key(name): least for name, least in settings.thresholds.items()}
    usual = {CHARACTER: settings.character_threshold} | {
        number: own[name] for number, name in _CATEGORY_NAMES.items() if name in own
    }
    general = settings.threshold
    if not own:
        return [usual.get(kind, general) for _, kind in words]
    return [own.get(tag_key(tag), usual.get(kind, general)) for tag, kind in words]


def read_settings(project: Project) -> TagsTable:
    """The checked [tags] table of a project. Raises ProjectError naming every fault."""
    return read_table(TagsTable, project.table("tags"), where=project.where("tags"))
