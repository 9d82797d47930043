"""Which family a base is of, and what it is made of: from headers and configurations, weights are not opened.

Every part of the program asks here: recipes, loading, what reads stored weights, descriptions. Importable without
torch.
"""

from __future__ import annotations

from pathlib import Path

from lorasmith.bases.doodle import doodle_folder
from lorasmith.bases.families import UNKNOWN, asked_families, find_family
from lorasmith.bases.families.cost import FamilyCost
from lorasmith.bases.families.evidence import Evidence, read_evidence
from lorasmith.bases.families.family import Family, Structure
from lorasmith.bases.families.foreign import foreign, unknown
from lorasmith.bases.hub import cached_evidence, fetch_base, is_hub_id
from lorasmith.bases.known import known_base
from lorasmith.bases.near_misses import near_miss
from lorasmith.errors import BaseError
from lorasmith.project import EMBEDDED


def detect(path: Path) -> Structure:
    """The base that lies at a path. Raises BaseError that names what lies there instead, and what can be used."""
    return examine(read_evidence(path))


def examine(evidence: Evidence) -> Structure:
    """`detect` for what was read already."""
    family = _claiming(evidence)
    if family is None:
        raise _something_else(evidence) or unknown(evidence, supported())
    return family.examine(evidence)


def _something_else(evidence: Evidence) -> BaseError | None:
    return near_miss(evidence, supported()) or foreign(evidence, supported())


def family_of(base: str) -> Family:
    """The family of a base as recipes name it, by a look at its header. What is not there or cannot be read counts as
    `UNKNOWN`, and loading it will say what is wrong; raises BaseError for what is there and is something else."""
    if base == EMBEDDED:
        return find_family(EMBEDDED)
    path = Path(base)
    if not path.exists():
        path = (cached_evidence(base) if is_hub_id(base) else known_base(base)) or path
    try:
        evidence = read_evidence(path)
        family, fault = _claiming(evidence), _something_else(evidence)
    except BaseError:
        return UNKNOWN
    if family is None and fault is not None:
        raise fault
    return family or UNKNOWN


def structure_of(base: str) -> Structure | None:
    """What a base as recipes name it is made of, by a look at its header; None where it is not here or is
    none."""
    path = doodle_folder() if base == EMBEDDED else Path(base)
    if not path.exists():
        path = (cached_evidence(base) if is_hub_id(base) else None) or path
    try:
        return detect(path)
    except BaseError:
        return None


def cost_of(base: str) -> FamilyCost:
    """What a base as recipes name it costs: its family's cost, for a base of another size in proportion. Raises as
    `family_of`."""
    family, path = family_of(base), Path(base)
    if base == EMBEDDED or not path.exists():
        return family.cost
    try:
        return family.cost.of_size(read_evidence(path).weights)
    except (BaseError, OSError):
        return family.cost


def preset_family(base: str) -> Family:
    """The family whose presets a recipe on this base starts from (`Family.presets_by_name`). Raises as `family_of`."""
    family = family_of(base)
    return UNKNOWN if family.presets_by_name and base != family.name else family


def locate_base(base: str, root: Path) -> str:
    """The base's name, or its absolute path when `base` is a file or folder that exists beside the project file, or one
    that is known by this name or hash."""
    if base == EMBEDDED:
        return base
    beside = root / Path(base).expanduser()
    known = None if beside.exists() else known_base(base)
    return str(beside.resolve()) if beside.exists() else base if known is None else str(known)


def find_base(name_or_path: str | Path) -> Path:
    """Where a base lies: the embedded one's folder, a path as it is, one that is known by this name or hash, or a hub
    id, fetched when needed."""
    if str(name_or_path) == EMBEDDED:
        return doodle_folder()
    path = Path(name_or_path).expanduser()
    if not path.exists() and isinstance(name_or_path, str):
        path = known_base(name_or_path) or path
    if not path.exists() and isinstance(name_or_path, str) and is_hub_id(name_or_path):
        return fetch_base(name_or_path)
    return path


def base_name(name_or_path: str | Path, path: Path) -> str:
    """What a base that lies at `path` is called; one from the hub by its repository, not by the cache's folder."""
    if str(name_or_path) == EMBEDDED:
        return EMBEDDED
    if isinstance(name_or_path, str) and is_hub_id(name_or_path) and path != Path(name_or_path).expanduser():
        return name_or_path.split("/")[1]
    return path.stem if path.is_file() else path.resolve().name


def supported() -> str:
    """What can be used, as a hint."""
    return f"Supported: {', '.join(family.title for family in asked_families())}."


def _claiming(evidence: Evidence) -> Family | None:
    return next((family for family in asked_families() if family.claims(evidence)), None)
