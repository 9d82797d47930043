"""The shapes of our own API, as they stand in its OpenAPI document. Unknown fields are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from lorasmith.server.native.spec_models import Asked, spec_model
from lorasmith.server.states import State

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^<>:\x00-\x1f]+$")]
#: What base64 of a body's greatest size may have in characters; the body itself is bounded before.
Base64 = Annotated[str, StringConstraints(min_length=4)]


class Told(BaseModel):
    """A piece of an answer."""


class AdapterCall(Asked):
    """An adapter and how strongly it acts. `text_strength` is that in the text encoders, the same when left out.

    `apart` are words that it is told by itself (`<lora:NAME:0.6:apart=WORDS>`); empty, it acts with the others.
    """

    name: Name
    strength: float = Field(default=1.0, ge=-10, le=10)
    text_strength: float | None = Field(default=None, ge=-10, le=10)
    apart: str = Field(default="", max_length=500, pattern=r"^[^:=<>]*$")


class Init(spec_model("init")):  # type: ignore[misc]  # made of the parameters
    """A picture to start from, as base64 (a data URL is fine). Where the mask is white is drawn anew."""

    image: Base64
    mask: Base64 | None = None


class Variation(spec_model("variation")):  # type: ignore[misc]
    """A second seed whose noise is mixed in."""


class Hires(spec_model("hires")):  # type: ignore[misc]
    """A second pass on the enlarged picture. `width` and `height` go before `scale`."""


class PictureRequest(spec_model()):  # type: ignore[misc]
    """One picture. What is left out is the base's own; no seed means a random one."""

    adapters: list[AdapterCall] = Field(default_factory=list, max_length=64)
    variation: Variation | None = None
    hires: Hires | None = None
    init: Init | None = None


class JobRequest(PictureRequest):
    """One picture, or several that differ by their seeds only, which count on."""

    count: int = Field(default=1, ge=1, le=1000)
    attached: bool = Field(default=False, description="Cancel the job when the last reader of its events leaves.")


class BatchRequest(Asked):
    """Many pictures, each with its own prompt, seed, adapters: what one leaves out it takes from `shared`."""

    shared: PictureRequest = PictureRequest()
    pictures: list[PictureRequest] = Field(min_length=1, max_length=1000)
    attached: bool = False


class GridRequest(PictureRequest):
    """One picture varied along up to three axes, as a grid reads them: ``strength=0.4,0.8``,
    ``adapter=one,two``, ``seed=1-4``, ``prompt=cat,dog``, ``cfg=2..8/2`` ..."""

    x: str = Field(min_length=1, max_length=4000)
    y: str | None = Field(default=None, max_length=4000)
    z: str | None = Field(default=None, max_length=4000)
    adapter: Name | None = Field(default=None, description="The one that a strength axis acts on.")
    control: bool = Field(default=True, description="Put the bare base before the strengths.")


class ErrorDetail(Told):
    """What is wrong, with its value; where; what to do."""

    kind: str
    message: str
    where: str | None = None
    hint: str | None = None
    status: int


class ErrorAnswer(Told):
    """The body of every answer that is an error."""

    error: ErrorDetail


class JobPicture(Told):
    """One picture of a job."""

    number: int
    state: State
    step: int
    steps: int
    seed: int
    picture: str | None = Field(description="Its id, once it is there.")
    error: dict[str, Any] | None


class JobAnswer(Told):
    """A job. Times are seconds since 1970, `share` is how much is done, 0 to 1."""

    id: str
    kind: str
    state: State
    share: float
    created: float
    finished: float | None
    detail: dict[str, Any]
    pictures: list[JobPicture]


class JobsAnswer(Told):
    """The newest jobs first."""

    jobs: list[JobAnswer]


class PictureAnswer(Told):
    """A kept picture. `document` is what its file says of itself."""

    id: str
    job: str | None
    number: int
    kind: str
    created: float
    width: int
    height: int
    seed: int
    prompt: str
    base: str
    bytes: int
    infotext: str
    board: str
    document: dict[str, Any]


class PictureHead(Told):
    """What a gallery needs to know of a picture."""

    id: str
    created: float
    width: int
    height: int
    seed: int
    prompt: str
    kind: str
    board: str


class PicturesAnswer(Told):
    """The newest first. `next` goes on where this answer ends; null at the end."""

    pictures: list[PictureHead]
    total: int
    next: str | None


class BoardAnswer(Told):
    """A board, and how many pictures lie on it."""

    name: str
    pictures: int


class BoardsAnswer(Told):
    """All boards by name."""

    boards: list[BoardAnswer]


class BoardRequest(Asked):
    """Pictures that are put on a board; "" takes them off."""

    board: str = Field(max_length=100)
    pictures: list[Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]] = Field(min_length=1, max_length=5000)


class AdapterAnswer(Told):
    """An adapter that prompts can call by `name`. `strength` is what its exam recommends; null where nobody told."""

    name: str
    alias: str
    file: str
    bytes: int
    trigger: str
    rank: str | None
    base: str
    problem: str | None
    strength: float | None
    has_preview: bool


class AdaptersAnswer(Told):
    """All adapters by name."""

    adapters: list[AdapterAnswer]


class BaseAnswer(Told):
    """A base. `hash` is known once it was loaded."""

    name: str
    is_loaded: bool
    is_default: bool
    hash: str | None


class BasesAnswer(Told):
    """All bases; the first one is the default at the start."""

    bases: list[BaseAnswer]


class ChoicesAnswer(Told):
    """What requests can name."""

    samplers: list[str]
    schedules: list[str]
    upscalers: list[str]


class FormField(Told):
    """A field of a picture. `unset` says what null means, where it may be null; `choices` are a choice's."""

    name: str
    kind: Literal["integer", "number", "boolean", "text", "choice"]
    label: str
    help: str
    default: Any
    unset: str | None
    least: int | float | None
    most: int | float | None
    step: int | float | None
    choices: list[str]


class FormAnswer(Told):
    """The fields of a picture; those of its parts by dotted name."""

    fields: list[FormField]


class ParseRequest(Asked):
    """A prompt to take apart."""

    text: str = Field(max_length=100_000)
    steps: int = Field(default=20, ge=1, le=1000)
    hires_steps: int | None = Field(default=None, ge=1, le=1000)
    compat: Literal["a1111"] | None = None


class AdviceAnswer(Told):
    """Something worth knowing about a prompt."""

    level: Literal["error", "warning", "note"]
    message: str
    rule: str | None


class ParseAnswer(Told):
    """The document of a parsed prompt; `advice` is what it may not have meant, worst first."""

    networks: list[dict[str, Any]]
    text: str
    subprompts: list[tuple[str, float] | tuple[str, float, str]]
    schedule: list[tuple[int, str]]
    attention: list[tuple[str, float]]
    advice: list[AdviceAnswer]


class ExpandRequest(Asked):
    """A template to expand. Wildcards are those of the folder that the server was started with."""

    template: str = Field(max_length=20_000)
    n: int = Field(default=1, ge=1, le=1000)
    seed: int = Field(default=0, ge=0, le=2**53)
    prompt_seed: int | None = Field(default=None, ge=0, le=2**53)
    mode: Literal["random", "combinatorial", "cyclical"] = "random"


class ExpandedPrompt(Told):
    """One prompt and the seeds that give it again."""

    prompt: str
    seed: int
    prompt_seed: int
    turn: int


class ExpandAnswer(Told):
    """The prompts, and how many different ones there are (null beyond counting)."""

    prompts: list[ExpandedPrompt]
    count: int | None


class StatusAnswer(Told):
    """The server at a glance."""

    version: str
    queued: int
    running: int
    clients_waiting: int
    jobs: int
    pictures: int
    base: str | None
    default_base: str
    seconds_per_picture: float | None
    uptime: float
    stopping: bool
    limits: dict[str, int]
