"""The folders of images and captions that section A of the list of faults speaks of, written at test time."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

SEPARATED = ("1girl, watermark\u200b", "1girl\uff0cwatermark", "1girl, (watermark:1.2)", "1girl; watermark")
"""An undesired tag (`watermark`) behind separators and marks that hide it; a full stop is the fifth."""
FRAMES = {"square": (640, 640), "tall": (600, 800), "wide": (900, 600), "banner": (1200, 480)}


def picture(seed: object, size: tuple[int, int] = (320, 320)) -> Image.Image:
    """Shapes of many colours, others for every seed."""
    chance = random.Random(str(seed))
    image = Image.new("RGB", size, _colour(chance))
    draw = ImageDraw.Draw(image)
    width, height = size
    for _ in range(25):
        x, y = chance.randrange(width), chance.randrange(height)
        a, b = chance.randrange(5, width // 2), chance.randrange(5, height // 2)
        shape = draw.ellipse if chance.random() < 0.5 else draw.rectangle
        shape([x - a // 2, y - b // 2, x + a // 2, y + b // 2], fill=_colour(chance), outline=0)
    return image


def _colour(chance: random.Random) -> tuple[int, int, int]:
    return chance.randrange(256), chance.randrange(256), chance.randrange(256)


def put(path: Path, seed: object, caption: str | bytes | None = None) -> None:
    """A picture at `path`, with a caption beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path)
    if caption is not None:
        path.with_suffix(".txt").write_bytes(caption if isinstance(caption, bytes) else caption.encode())


def bust(shirt: str = "red", hair: str = "brown", skin: str = "#ffe0c0", background: str = "white") -> Image.Image:
    """Head and shoulders on a flat ground."""
    image = Image.new("RGB", (512, 768), background)
    draw = ImageDraw.Draw(image)
    draw.ellipse((156, 80, 356, 330), fill=hair)
    draw.ellipse((176, 120, 336, 320), fill=skin, outline="black")
    draw.rectangle((150, 330, 362, 767), fill=shirt, outline="black")
    for x in (215, 280):
        draw.ellipse((x, 190, x + 22, 220), fill="blue")
    draw.arc((225, 230, 287, 290), 20, 160, fill="black", width=4)
    return image


def make_shirts(folder: Path) -> None:
    """P: busts that differ in the shirt's colour alone."""
    for name in ("red", "darkgreen", "white", "navy"):
        bust(shirt=name).save(folder / f"shirt_{name}.png")


def make_blurs(folder: Path) -> None:
    """S: a sharp drawing and its strong blurs."""
    drawing = Image.new("RGB", (512, 512), "#dd5050")
    pen = ImageDraw.Draw(drawing)
    pen.ellipse((130, 100, 390, 400), fill="#b47d4a", outline="black", width=6)
    pen.polygon(((130, 180), (260, 60), (390, 180)), fill="#ff832a")
    for x in (190, 290):
        pen.ellipse((x, 200, x + 40, 240), fill="black")
    pen.arc((200, 260, 320, 340), 20, 160, fill="black", width=6)
    pen.rectangle((150, 400, 360, 511), fill="#3c5ac8")
    drawing.save(folder / "sharp.png")
    for sigma in (3, 6, 9, 12):
        drawing.filter(ImageFilter.GaussianBlur(sigma)).save(folder / f"blurred_{sigma}.png")


def make_known_stem(folder: Path) -> None:
    """A: a picture that is known, a new one and the new one's caption under one stem."""
    put(folder / "old/0.png", 1, "old")
    (folder / "new").mkdir()
    shutil.copy(folder / "old/0.png", folder / "new/shot.png")
    picture(2).save(folder / "new/shot.jpg")
    (folder / "new/shot.txt").write_text("caption of the new shot")


def make_gui_layout(folder: Path) -> None:
    """B: the folders that kohya's GUI makes."""
    for i in range(4):
        put(folder / f"img/10_zbk girl/{i}.png", f"b{i}", "zbk, 1girl")
        put(folder / f"reg/1_girl/{i}.png", f"r{i}")
    for name in ("log", "model"):
        (folder / name).mkdir()


def make_near_words(folder: Path) -> None:
    """C: words that look like the trigger."""
    for i in range(5):
        put(folder / f"h{i}.png", f"h{i}", "sks, 1girl")
        put(folder / f"w{i}.png", f"w{i}", "sky, cloud")


def make_endings(folder: Path) -> None:
    """D: words that end in other words."""
    put(folder / "0.png", 3, "1boy, hot dog, dog")
    put(folder / "1.png", 4, "mouse, computer mouse")
    put(folder / "2.png", 5, "bat, baseball bat")


def make_tag_files(folder: Path) -> None:
    """E: what gallery-dl writes with --write-tags alone."""
    for i in range(2):
        put(folder / f"a{i}.jpg", f"e{i}")
        (folder / f"a{i}.jpg.txt").write_text("1girl\nsmile\n")


def make_dotless_extension(folder: Path) -> None:
    """F: a caption_extension without its dot."""
    put(folder / "a/0.png", 6, "1girl")
    text = '[general]\ncaption_extension="txt"\n[[datasets]]\n[[datasets.subsets]]\nimage_dir="a"\n'
    (folder / "k.toml").write_text(text)


def make_dotted_stems(folder: Path) -> None:
    """G: an import whose stems have dots."""
    put(folder / "images/img.png", 7)
    (folder / "tags").mkdir()
    (folder / "tags/img.txt").write_text("right")
    (folder / "tags/img.1.txt").write_text("of another picture")


def make_links(folder: Path) -> None:
    """H: links that lead out, as a hub's cache has them."""
    (folder / "blobs").mkdir()
    (folder / "snap").mkdir()
    put(folder / "x.png", 8)
    (folder / "x.png").rename(folder / "blobs/1")
    os.symlink("../blobs/1", folder / "snap/0.png")


def make_encodings(folder: Path) -> None:
    """I: captions that are no UTF-8, and one that is."""
    put(folder / "utf16.png", 9, b"\xff\xfe" + "1girl".encode("utf-16-le"))
    put(folder / "cp1252.png", 10, "caf\u00e9".encode("cp1252"))
    put(folder / "utf16_no_mark.png", 11, "1girl, smile".encode("utf-16-le"))
    put(folder / "fine.png", 12, "1girl")


def make_separators(folder: Path) -> None:
    """J: separators and marks around an undesired tag."""
    for i, text in enumerate((*SEPARATED, "1girl, watermark.")):
        put(folder / f"{i}.png", 13 + i, text)


def make_foreign_table(folder: Path) -> None:
    """K: a table in another encoding."""
    put(folder / "train/0.png", 30)
    (folder / "metadata.csv").write_bytes("file_name,text\ntrain/0.png,caf\u00e9\n".encode("cp1252"))


def make_odd_name(folder: Path) -> None:
    """L: a file name that is no UTF-8."""
    put(folder / "ok.png", 31, "1girl")
    picture(32).save(folder / "l.png")
    os.rename(os.fsencode(folder / "l.png"), os.fsencode(folder) + b"/\xffbad.png")


def make_decomposed_name(folder: Path) -> None:
    """M: a name with its accent apart."""
    picture(33).save(folder / "e\u0301tude.png")


def make_frames(folder: Path) -> None:
    """N: the same drawing, square and in frames of other shapes."""
    for name, size in FRAMES.items():
        frame = Image.new("RGB", size, "#5aa7e8")
        side = min(size)
        inner = bust("green", "orange", "#b47d4a", "#5aa7e8").resize((side * 2 // 3, side))
        frame.paste(inner, ((size[0] - inner.width) // 2, size[1] - side))
        frame.save(folder / f"{name}.png")


def make_style(folder: Path) -> None:
    """L1: a style of varied people, three of twelve with another cut."""
    for i in range(12):
        put(folder / f"{i}.png", f"style{i}", "inky style, smile, " + ("bob cut" if i < 3 else "short hair"))


def made(make: Callable[[Path], None], folder: Path) -> Path:
    """`folder`, filled by one of the above."""
    folder.mkdir(parents=True, exist_ok=True)
    make(folder)
    return folder
