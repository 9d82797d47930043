"""The bodies of that API's requests. Of the defaults some are not ours but theirs (`fields`)."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lorasmith.generation.parameters import plain_lines
from lorasmith.server.webui.fields import DRAWING, EMPHASES, IMG2IMG, OPTIONS, TXT2IMG, their_model

_LINES = ("prompt", "negative_prompt", "hr_prompt", "hr_negative_prompt", "infotext")


class Sent(BaseModel):
    """What clients send: fields that mean nothing here are kept aside, to be named in the answer (`ignored`)."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)

    def told(self) -> dict[str, Any]:
        """The fields that mean something here, for the answer."""
        return self.model_dump(mode="json", exclude=set(self.model_extra or {}))


class Options(their_model(OPTIONS, Sent)):  # type: ignore[misc]  # made of the table
    """The options that mean something here; others are accepted and forgotten, as clients send many."""

    samples_format: Literal["png", "jpg", "jpeg", "webp"] | None = None

    @field_validator("samples_format", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("emphasis")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in EMPHASES:
            raise ValueError(f"one of {', '.join(EMPHASES)}")
        return value


class Drawing(their_model(DRAWING, Sent)):  # type: ignore[misc]
    """What both kinds of requests share."""

    styles: list[str] = Field(default_factory=list)
    batch_size: int = Field(default=1, ge=1, le=1000)
    n_iter: int = Field(default=1, ge=1, le=1000)
    disable_extra_networks: bool = False
    infotext: str = ""
    force_task_id: str | None = Field(default=None, max_length=200)
    override_settings: Options = Options()
    override_settings_restore_afterwards: bool = True
    script_name: str | None = None
    script_args: list[Any] = Field(default_factory=list)
    alwayson_scripts: dict[str, Any] = Field(default_factory=dict)
    send_images: bool = True
    save_images: bool = False

    @model_validator(mode="after")
    def _plain_lines(self) -> Self:
        for name, value in self:
            if isinstance(value, str) and "\r" in value and name in _LINES:
                object.__setattr__(self, name, plain_lines(value))
        return self

    @field_validator("*", mode="before")
    @classmethod
    def _null_is_default(cls, value: Any, info: Any) -> Any:
        """Many clients write null for what they do not set."""
        if value is None and info.field_name in cls.model_fields:
            return cls.model_fields[info.field_name].get_default(call_default_factory=True)
        return value


class Txt2Img(their_model(TXT2IMG, Drawing)):  # type: ignore[misc]
    """A picture from a prompt, and optionally a second pass on it."""

    enable_hr: bool = False
    firstphase_width: int = 0
    firstphase_height: int = 0
    hr_sampler_name: str = ""
    hr_scheduler: str = ""
    hr_checkpoint_name: str = ""


class Img2Img(their_model(IMG2IMG, Drawing)):  # type: ignore[misc]
    """A picture from a prompt and a picture."""

    init_images: list[str] = Field(default_factory=list)
    mask: str | None = None
    mask_blur: int | None = Field(default=None, ge=0)
    mask_blur_x: int = Field(default=4, ge=0)
    mask_blur_y: int = Field(default=4, ge=0)
    inpainting_mask_invert: int = Field(default=0, ge=0, le=1)
    include_init_images: bool = False


class OneImage(BaseModel):
    """A picture as base64."""

    image: str = ""


class Extras(BaseModel):
    """A picture to enlarge. `resize_mode` 0 goes by `upscaling_resize`, 1 by width and height."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    resize_mode: int = Field(default=0, ge=0, le=1)
    upscaling_resize: float = Field(default=2.0, gt=0, le=8)
    upscaling_resize_w: int = Field(default=512, ge=1, le=16384)
    upscaling_resize_h: int = Field(default=512, ge=1, le=16384)
    upscaling_crop: bool = True
    upscaler_1: str = "None"


class ExtrasOne(Extras):
    """One picture."""

    image: str = ""


class NamedImage(BaseModel):
    """A picture with its name."""

    data: str
    name: str = ""


class ExtrasMany(Extras):
    """Many pictures."""

    imageList: list[NamedImage] = Field(default_factory=list, max_length=64)  # noqa: N815  # that API's name


class Interrogation(OneImage):
    """A picture to describe."""

    model: str = "clip"
