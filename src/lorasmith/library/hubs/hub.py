"""What a hub is to the library, and what it says of models, in words that are the same for every hub."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from lorasmith.errors import HubError
from lorasmith.events import Work
from lorasmith.library.entry import HubFacts
from lorasmith.library.hubs.connection import Answer, Connection
from lorasmith.library.hubs.references import Reference


@dataclass(frozen=True)
class HubFile:
    """A file of a version. `size` in bytes is about right until `hashes` say more: SHA256, AutoV3 ... by their names,
    lower-case digits. `path` is asked of the hub to get it."""

    name: str
    path: str
    size: int | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    primary: bool = False
    is_weights: bool = True
    flaw: str = ""

    @property
    def sha256(self) -> str:
        return self.hashes.get("SHA256", "")


@dataclass(frozen=True)
class HubPicture:
    """An example picture of a version; `is_still` when it is no video."""

    address: str
    mature: bool = False
    is_still: bool = True
    prompt: str = ""


@dataclass(frozen=True)
class HubVersion:
    """A version of a model. `number` orders the versions of a model where that is known; `gone` says why its files are
    not there any more; `guarded` who may have them. `real_person`: it shows somebody who lives. `answer` is the
    hub's own."""

    hub: str
    model_id: str
    version_id: str
    name: str
    version: str = ""
    creator: str = ""
    kind: str = ""
    base: str = ""
    triggers: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    licence: str = ""
    description: str = ""
    page: str = ""
    published: str = ""
    mature: bool = False
    real_person: bool = False
    gone: str = ""
    guarded: str = ""
    files: tuple[HubFile, ...] = ()
    pictures: tuple[HubPicture, ...] = ()
    answer: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def reference(self) -> str:
        """What gets it: ``civitai:12@34``, ``hf:owner/name@commit``."""
        return str(Reference(self.hub, self.model_id, self.version_id))

    @property
    def words(self) -> tuple[str, ...]:
        """Everything that the refusal list is held against: names, triggers, tags."""
        return (self.name, self.version, *self.triggers, *self.tags, *(file.name for file in self.files))

    def facts(self, asked: float, newer: str = "") -> HubFacts:
        """What the library keeps of it."""
        return HubFacts(
            source=self.hub,
            model_id=self.model_id,
            version_id=self.version_id,
            name=self.name,
            version=self.version,
            creator=self.creator,
            base=self.base,
            licence=self.licence,
            page=self.page,
            mature=self.mature,
            newer=newer,
            asked=asked,
        )


@dataclass(frozen=True)
class HubModel:
    """A model with its versions, the newest first; `downloads` where the hub counts them."""

    hub: str
    model_id: str
    name: str
    creator: str = ""
    kind: str = ""
    tags: tuple[str, ...] = ()
    mature: bool = False
    downloads: int | None = None
    page: str = ""
    versions: tuple[HubVersion, ...] = ()

    @property
    def reference(self) -> str:
        return str(Reference(self.hub, self.model_id))

    @property
    def words(self) -> tuple[str, ...]:
        return (self.name, *self.tags, *(word for version in self.versions for word in version.words))

    def as_json(self) -> dict[str, Any]:
        newest = self.versions[0] if self.versions else None
        return {
            "reference": self.reference,
            "name": self.name,
            "creator": self.creator,
            "kind": self.kind,
            "base": newest.base if newest else "",
            "triggers": list(newest.triggers) if newest else [],
            "tags": list(self.tags),
            "mature": self.mature,
            "downloads": self.downloads,
            "page": self.page,
            "versions": [
                {"reference": each.reference, "name": each.version, "base": each.base, "published": each.published}
                for each in self.versions
            ],
        }


@dataclass(frozen=True)
class Question:
    """What is looked for: words, a base as the hub calls it, how it is sorted, mature models too, and where to go on
    (`after`, as the last answer said)."""

    words: str = ""
    base: str = ""
    sort: str = ""
    limit: int = 20
    mature: bool = False
    after: str = ""


@dataclass(frozen=True)
class Found:
    """A page of models, and what to ask for the next one ("" at the end)."""

    models: tuple[HubModel, ...]
    after: str = ""


class Hub(ABC):
    """A hub that can be asked, behind a connection that ends with the `with` block. Everything raises HubError."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    @abstractmethod
    def search(self, question: Question) -> Work[Found]:
        """A page of models."""

    @abstractmethod
    def read_version(self, reference: Reference) -> Work[HubVersion]:
        """The version that is meant, the newest where none is named."""

    @abstractmethod
    def read_models(self, ids: Sequence[str]) -> Work[Mapping[str, HubModel]]:
        """Models by their ids, as many as are still there."""

    @abstractmethod
    def explain(self, answer: Answer, what: str) -> HubError:
        """A refusal in plain words, with what to do."""
