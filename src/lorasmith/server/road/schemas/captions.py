"""Captions, tags, the rules that make captions of tags, and captioners."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from lorasmith.server.native.schemas import Told
from lorasmith.server.native.spec_models import Asked
from lorasmith.server.road.schemas.images import MOST_IMAGES, ImageName

Tag = Annotated[str, Field(min_length=1, max_length=500)]


class CaptionsAnswer(Told):
    """The captions by image, how many each rule changed, and the id of each image's thumbnail."""

    captions: dict[str, str]
    rules: list[dict[str, Any]]
    ids: dict[str, str]
    undo: int
    redo: int


class CorrectionRequest(Asked):
    """Tags that images get, and tags that they lose, whatever the rules say."""

    images: list[ImageName] = Field(min_length=1, max_length=MOST_IMAGES)
    add: list[Tag] = Field(default_factory=list, max_length=100)
    remove: list[Tag] = Field(default_factory=list, max_length=100)


class SettingsChange(Asked):
    """Keys of [tags] with their values; null takes a key out."""

    set: dict[Annotated[str, Field(max_length=100)], Any] = Field(max_length=100)


class DiffAnswer(Told):
    """What a change would do: how many captions become others, the first of them, and what each rule then does."""

    changed: int
    images: int
    changes: list[dict[str, str]]
    rules: list[dict[str, Any]]


class RulesAnswer(Told):
    """The rules in their order, those that are off at their places too, and the keys of [tags]."""

    rules: list[dict[str, Any]]
    settings: list[dict[str, Any]]
    undo: int
    redo: int


class GatherRequest(Asked):
    """Who looks at the images: a tagger, or the captioner of [tags.captioner]. `consent`: pictures may leave this
    machine."""

    tagger: str | None = Field(None, max_length=500)
    captioner: bool = False
    again: bool = False
    consent: bool = False


class CaptionerAnswer(Told):
    """The captioner of [tags.captioner], and what asking it would send; `cost` is None without an address."""

    url: str
    model: str
    prompt: str
    concurrency: int
    cost: dict[str, Any] | None


Way = Literal["undo", "redo"]
