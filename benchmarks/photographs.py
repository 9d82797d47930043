"""Photographs to measure on, which no test ships: desktop backgrounds of Debian and the pictures that come with
scikit-image and scikit-learn, fetched as packages when a benchmark wants them and cut into halves.

`chosen` were looked at when measures and limits were chosen; `held_out` were not.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Literal

from PIL import Image

FOLDER = Path(__file__).parent / "out" / "photographs"
DEBIAN = {
    "chosen": ("plasma-workspace-wallpapers",),
    "held_out": ("mate-backgrounds", "lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04"),
}
PYPI = {"chosen": ("scikit-image", "scikit-learn"), "held_out": ()}
NO_PHOTOGRAPHS = frozenset(
    {
        *("chessboard_GRAY", "chessboard_RGB", "multipage", "multipage_rgb", "horse", "logo", "phantom"),
        *("no_time_for_that_tiny", "text", "page", "motorcycle_right", "color", "clock_motion"),
        *("Elephants_3840x2160", "Elephants_5640x3172", "Flow", "Silk", "Spring", "Waves", "Float-into-MATE"),
        *("GreenTraditional", "MATE-Stripes-Dark", "MATE-Stripes-Light", "Stripes", "Gulp"),
        *("Arc-Colors-Transparent-Wallpaper", "rollpaper", "desert", "city", "fluent-color"),
        *("Ubuntu-Mate-Cold-no-logo", "Ubuntu-Mate-Dark-no-logo", "Ubuntu-Mate-Radioactive-no-logo"),
        *("Ubuntu-Mate-Warm-no-logo"),
    }
)
"""Diagrams, text and films among the libraries' pictures; patterns and logos among the backgrounds."""
LONGEST, SMALLEST = 1600, 120
Part = Literal["chosen", "held_out"]


def find_photographs(part: Part) -> list[tuple[str, Image.Image]]:
    """(name, RGB picture) of every half, sides up to 1600 pixels; none, with a word, where packages cannot be had."""
    found: dict[str, Path] = {}
    for package in (*DEBIAN[part], *PYPI[part]):
        for file in sorted(_fetch(package, debian=package in DEBIAN[part]).rglob("*")):
            if file.suffix.lower() in (".jpg", ".jpeg", ".png") and file.stem not in NO_PHOTOGRAPHS:
                # Backgrounds come in several sizes, each in a folder of its own.
                name = file.parts[-4] if file.stem.replace("x", "").isdigit() else file.stem
                if name not in found or file.stat().st_size > found[name].stat().st_size:
                    found[name] = file
    return [half for name, file in sorted(found.items()) for half in _halves(name, file)]


def _halves(name: str, file: Path) -> list[tuple[str, Image.Image]]:
    with Image.open(file) as opened:
        if min(opened.size) < SMALLEST or opened.mode in ("1", "P"):
            return []
        image = opened.convert("RGB")
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    middle, height = image.width // 2, image.height
    boxes = ((0, 0, middle, height), (middle, 0, image.width, height))
    return [(f"{name}-{number}", image.crop(box)) for number, box in enumerate(boxes)]


def _fetch(package: str, *, debian: bool) -> Path:
    """The folder of an unpacked package, fetched when it is not there; empty where it cannot be had."""
    folder = FOLDER / package
    if folder.is_dir():
        return folder
    loading = FOLDER / f"{package}.loading"
    loading.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", ".", package]
    try:
        subprocess.run(
            ["apt-get", "download", package] if debian else pip, cwd=loading, check=True, capture_output=True
        )
        for file in list(loading.iterdir()):
            if file.suffix == ".deb":
                subprocess.run(["dpkg-deb", "-x", str(file), "."], cwd=loading, check=True, capture_output=True)
            else:
                with zipfile.ZipFile(file) as wheel:
                    pictures = [name for name in wheel.namelist() if name.endswith((".jpg", ".jpeg", ".png"))]
                    wheel.extractall(loading, [name for name in pictures if "/tests/" not in name])
            file.unlink()
    except (OSError, subprocess.CalledProcessError, zipfile.BadZipFile) as fault:
        print(f"{package} cannot be had here ({type(fault).__name__}): its photographs are left out.")
        return loading
    loading.rename(folder)
    return folder
