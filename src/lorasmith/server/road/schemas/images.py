"""Images, decisions on them, and what an inspection found."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from lorasmith.server.native.schemas import Told
from lorasmith.server.native.spec_models import Asked

MOST_IMAGES = 20_000
ImageName = Annotated[str, Field(min_length=1, max_length=1000)]


class DecisionRequest(Asked):
    """One step: `verb` of all `images`, by name. `value` as the verb needs it: of role "primary", "supporting" or null;
    of repeats a number or null; of crop [left, top, right, bottom] in pixels or null; of label and unlabel a few words;
    of the others nothing."""

    images: list[ImageName] = Field(min_length=1, max_length=MOST_IMAGES)
    verb: Literal["keep", "reject", "role", "repeats", "crop", "label", "unlabel", "distinct"]
    value: str | int | list[int] | None = None
    reason: str = Field("", max_length=500)


class DrawnPart(Asked):
    """A part of an image: `box` left, top, right, bottom in pixels, and what it shows."""

    box: tuple[int, int, int, int]
    name: str = Field("", max_length=100)


class MakeRequest(Asked):
    """Pictures made from images: `count` altered copies of each, by `operations` in turn (all if none is named), or in
    place of identical files; one collage of them, in this order; or a dataset of one of them, by its `parts` if any are
    drawn. A `count` of null is 1 copy, or 18 pictures of one."""

    way: Literal["alter", "clones", "collage", "cut"]
    images: list[ImageName] = Field(default_factory=list, max_length=2000)
    operations: list[str] = Field(default_factory=list, max_length=20)
    layout: Literal["side", "stack", "grid", "inset"] | None = None
    parts: list[DrawnPart] = Field(default_factory=list, max_length=20)
    count: int | None = Field(None, ge=1, le=50)
    mirrored: bool = True
    seed: int = Field(0, ge=0, le=2**31 - 1)


class Steps(Asked):
    """How many steps."""

    steps: int = Field(1, ge=1, le=10_000)


class DecisionsAnswer(Told):
    """What was decided, undone or done again, and how many steps can be now; `names`: the images that it is about."""

    decisions: list[dict[str, Any]]
    names: list[str]
    undo: int
    redo: int


class InspectionAnswer(Told):
    """The last inspection: its `document` is that of `lorasmith inspect --json`, in which `coverage` has the `names` of
    the images; None before the first. `stale`: whether the project has changed since. `titles` of rules by id."""

    document: dict[str, Any] | None
    stale: bool
    titles: dict[str, str]
