"""A folder of pictures as people have them: sizes, shapes, formats, EXIF turns, odd names, some of them spoiled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

ASPECTS = (1.0, 1.0, 0.75, 1.0, 4 / 3, 2 / 3, 1.0, 0.8)
SIDES = (512, 300, 640, 420, 256, 720, 360, 560)
_FORMATS = (".png", ".jpg", ".png", ".webp", ".JPG", ".png", ".jpeg", ".bmp", ".gif", ".PNG")
_NAMES = (
    "IMG_{n:04}",
    "photo ({n})",
    "Überraschung {n}",
    "final_final{n}",
    "Screenshot 2024-05-{n:02} at 10.1{n}.02",
    "{n}",
    "DSC0{n}  copy",
    "絵-{n}",
    "me & dog #{n}",
    "100%_{n}",
)
_TURNS = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
"""What is done to the pixels that a viewer turns back by this EXIF orientation."""
NOTE = "Pictures of my own, 2024. The blurred ones are from the old phone.\n"


@dataclass(frozen=True)
class Written:
    """A file of the folder: its name, the place of its picture in the list, and how it is spoiled, if it is."""

    file: str
    picture: int
    spoiled: str | None = None


def write_folder(folder: Path, pictures: Sequence[Image.Image], other: Image.Image, seed: int) -> list[Written]:
    """Write `pictures` of the subject, six spoiled copies of some, `other` (somebody else, picture -1) and a note."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = Random(seed)
    names = [_NAMES[n % len(_NAMES)].format(n=n + 1) for n in range(len(pictures) + 1)]
    chance.shuffle(names)
    written = [
        Written(_save(folder, names[n], picture, _FORMATS[(n + seed) % len(_FORMATS)], chance), n)
        for n, picture in enumerate(pictures)
    ]
    written.append(Written(_save(folder, names[-1], other, ".jpg", chance), -1))
    chosen = chance.sample(range(len(pictures)), len(_SPOIL))
    for (how, spoil), n in zip(_SPOIL.items(), chosen, strict=True):
        file = f"{names[n]} {how}.jpg" if how != "thumbnail" else f"{names[n]} {how}.png"
        spoil(pictures[n].convert("RGB"), folder / file)
        written.append(Written(file, n, how))
    (folder / "read me.txt").write_text(NOTE, "utf-8")
    return written


def _save(folder: Path, stem: str, picture: Image.Image, suffix: str, chance: Random) -> str:
    path = folder / f"{stem}{suffix}"
    picture = picture.convert("RGB")
    if suffix.lower() in (".jpg", ".jpeg"):
        turn = chance.choice((None, None, 3, 6, 8))
        exif = Image.Exif()
        if turn is not None:
            exif[0x0112] = turn
            picture = picture.transpose(_TURNS[turn])
        picture.save(path, "JPEG", quality=chance.choice((85, 92, 95)), exif=exif)
    elif suffix == ".webp":
        picture.save(path, quality=92)
    elif suffix == ".gif":
        picture.quantize(128).save(path)
    else:
        picture.save(path)
    return path.name


def _truncate(picture: Image.Image, path: Path) -> None:
    picture.save(path, quality=90)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


_SPOIL: dict[str, Callable[[Image.Image, Path], object]] = {
    "blurred": lambda p, path: p.filter(ImageFilter.GaussianBlur(max(p.size) / 40)).save(path, quality=90),
    "again": lambda p, path: p.resize((p.width * 4 // 5, p.height * 4 // 5)).save(path, quality=50),
    "mirrored": lambda p, path: ImageOps.mirror(p).save(path, quality=80),
    "thumbnail": lambda p, path: p.resize((48, max(1, 48 * p.height // p.width))).save(path),
    "dark": lambda p, path: ImageEnhance.Brightness(p).enhance(0.08).save(path, quality=80),
    "broken": _truncate,
}
