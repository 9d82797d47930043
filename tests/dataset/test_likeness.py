"""Groups: stars around the best, each with its kind and the reason."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from lorasmith.dataset.evidence import Group
from lorasmith.dataset.likeness import Signature, group_images
from lorasmith.images.fingerprints import Fingerprint, take_fingerprint
from lorasmith.images.similarity import Thumbnail, take_fine_thumbnail, take_inner_thumbnail, take_thumbnail
from tests.images.drawings import draw
from tests.images.test_similarity import face


def signature(name: str, image: Image.Image, *, sha256: str | None = None) -> Signature:
    made = take_fingerprint(image)
    return Signature(
        name,
        sha256 or name,
        image.width * image.height,
        1000,
        False,
        False,
        made,
        lambda: take_thumbnail(image),
        lambda: take_inner_thumbnail(image, made.borders),
        lambda: take_inner_thumbnail(image, 1),
        lambda: take_fine_thumbnail(image),
    )


def bordered(image: Image.Image, colour: str = "black") -> Image.Image:
    sheet = Image.new("RGB", (image.width + 80, image.height + 40), colour)
    sheet.paste(image, (40, 20))
    return sheet


def test_copies_are_grouped_by_what_they_are() -> None:
    image = draw(1)
    signatures = [
        signature("b.png", image, sha256="one"),
        signature("a.png", image, sha256="one"),
        signature("small.png", image.resize((128, 128))),
        signature("mirror.png", ImageOps.mirror(image)),
        signature("border.png", bordered(image)),
        signature("other.png", draw(2)),
    ]
    assert group_images(signatures) == (
        Group("same", ("a.png", "b.png"), "the files are identical"),
        Group("near", ("a.png", "small.png"), "4 times the pixels"),
        Group("mirrored", ("a.png", "mirror.png"), "equally good, the shorter name"),
        Group("padded", ("a.png", "border.png"), "narrower borders"),
    )


@pytest.mark.parametrize("colour", ["black", "white", "red"])
def test_borders_are_seen_through(colour: str) -> None:
    found = 0
    for seed in range(20):
        image = draw(seed)
        groups = group_images([signature("plain", image), signature("border", bordered(image, colour))])
        found += [(group.keep, group.images) for group in groups] == [("plain", ("plain", "border"))]
    assert found >= 19


def on_white(seed: int) -> Image.Image:
    """A drawing somewhere on a white sheet, which is as much of the picture as the drawing is."""
    sheet = Image.new("RGB", (320, 320), "white")
    sheet.paste(draw(seed, (180, 200)), (40 + seed * 7 % 60, 50 + seed * 11 % 50))
    return sheet


@pytest.mark.parametrize("colour", ["black", "red", "white"])
def test_a_drawing_on_white_is_known_in_a_frame(colour: str) -> None:
    missed = []
    for seed in range(30):
        image = on_white(seed)
        groups = group_images([signature("plain", image), signature("frame", bordered(image, colour))])
        missed += [] if [group.kind for group in groups] == ["padded"] else [seed]
    assert missed == []


def test_a_face_on_white_is_known_in_a_frame() -> None:
    """What lies within both borders is as good as symmetric, and its hash chance: the sheet within the frame is not."""
    for seed in range(10):
        image = face(seed)
        groups = group_images([signature("plain", image), signature("frame", bordered(image))])
        assert [group.kind for group in groups] == ["padded"], seed


def test_different_drawings_on_white_are_no_group_in_frames_either() -> None:
    for make in (on_white, face, draw):
        images = [bordered(make(seed)) if seed % 2 else make(seed) for seed in range(40)]
        assert group_images([signature(f"{place}", image) for place, image in enumerate(images)]) == ()


@pytest.mark.parametrize(("ground", "skin", "kinds"), [((249, 157, 196), (173, 125, 70), []), (None, None, ["padded"])])
def test_one_figure_on_two_grounds_is_two_drawings(
    ground: tuple[int, int, int] | None, skin: tuple[int, int, int] | None, kinds: list[str]
) -> None:
    """What lies around a drawn head is its ground, no border: where both have one, only the same colours are a copy."""

    def head(ground: tuple[int, int, int], skin: tuple[int, int, int], margin: int) -> Image.Image:
        image = Image.new("RGB", (300 + 2 * margin, 300 + 2 * margin), ground)
        pen = ImageDraw.Draw(image)
        pen.ellipse((margin, margin, margin + 300, margin + 300), fill=skin)
        pen.pieslice((margin, margin, margin + 300, margin + 300), 190, 330, fill=(53, 37, 40))
        for left in (90, 180):
            pen.ellipse((margin + left, margin + 140, margin + left + 24, margin + 170), fill="black")
        pen.arc((margin + 100, margin + 180, margin + 200, margin + 250), 20, 160, fill=(120, 30, 40), width=8)
        return image

    own = ((239, 162, 200), (178, 130, 78))
    one, other = head(*own, 40), head(ground or own[0], skin or own[1], 60)
    groups = group_images([signature("one", one), signature("other", other)])
    assert [group.kind for group in groups] == kinds


def test_the_best_is_told_with_its_reason() -> None:
    image = draw(1)
    plain = signature("m.png", image)
    better: list[tuple[str, Callable[[Signature], Signature]]] = [
        ("2 times the pixels", lambda p: replace(p, name="z.png", sha256="z", pixels=p.pixels * 2, size=1)),
        ("sharper", lambda p: replace(p, name="z.png", sha256="z", fingerprint=sharp(p), size=1)),
        ("saved without loss", lambda p: replace(p, name="z.png", sha256="z", lossless=True, size=1)),
        ("the larger file", lambda p: replace(p, name="z.png", sha256="z", size=p.size * 2)),
        ("it has a caption", lambda p: replace(p, name="z.png", sha256="z", captioned=True)),
        ("it has a caption", lambda p: replace(p, name="z.png", captioned=True)),
        ("equally good, the first by name", lambda p: replace(p, name="a.png", sha256="z")),
        ("the files are identical", lambda p: replace(p, name="a.png")),
    ]
    blurred = replace(plain, fingerprint=replace(plain.fingerprint, blur=0.5))
    for reason, make in better:
        winner = make(plain)
        (group,) = group_images([blurred if reason == "sharper" else plain, winner])
        assert (group.keep, group.reason) == (winner.name, reason)


def sharp(signature: Signature) -> Fingerprint:
    return replace(signature.fingerprint, blur=0.0)


def test_different_drawings_are_no_group() -> None:
    assert group_images([signature(str(seed), draw(seed)) for seed in range(60)]) == ()


def test_clones_of_a_lesser_copy_are_known_as_clones_too() -> None:
    image = draw(1)
    small = image.resize((128, 128))
    signatures = [signature("big", image), signature("s1", small, sha256="s"), signature("s2", small, sha256="s")]
    assert [(group.kind, group.images) for group in group_images(signatures)] == [
        ("near", ("big", "s1", "s2")),
        ("same", ("s1", "s2")),
    ]


def test_two_flat_drawings_that_differ_in_colour_only_are_different() -> None:
    def disc(colour: tuple[int, int, int], sheet: str = "white") -> Image.Image:
        image = Image.new("RGB", (256, 256), sheet)
        ImageDraw.Draw(image).ellipse((60, 50, 200, 210), fill=colour)
        return image

    colours = [(220, 40, 40), (40, 60, 200), (40, 170, 70), (240, 220, 60), (128, 128, 128), (250, 170, 190)]
    assert group_images([signature(str(colour), disc(colour)) for colour in colours]) == ()
    assert group_images([signature(sheet, disc((255, 255, 255), sheet)) for sheet in ("red", "grey", "black")]) == ()
    for colour in colours:
        grey = disc(colour).convert("L").convert("RGB")
        tinted = Image.blend(disc(colour), Image.new("RGB", (256, 256), (200, 90, 30)), 0.35)
        for copy in (grey, tinted, disc(colour).filter(ImageFilter.GaussianBlur(3))):
            assert len(group_images([signature("a", disc(colour)), signature("b", copy)])) == 1, colour


def test_pairs_that_are_called_distinct_are_no_group() -> None:
    image = draw(1)
    signatures = [
        signature("a", image),
        signature("b", image.resize((128, 128))),
        signature("c", ImageOps.mirror(image)),
    ]
    distinct = frozenset({frozenset({"a", "b"})})
    assert [group.images for group in group_images(signatures, distinct)] == [("a", "c")]


@pytest.mark.parametrize("seed", range(8))
def test_a_lossless_original_wins_over_its_jpeg(seed: int) -> None:
    """Also where the noise of the JPEG moves the edge of a drawing's background."""
    image = draw(seed)
    original = replace(signature("z-original.png", image), lossless=True)
    store = io.BytesIO()
    image.save(store, "JPEG", quality=40)
    (group,) = group_images([signature("a.jpg", Image.open(store).convert("RGB")), original])
    assert (group.kind, group.keep, group.reason) == ("near", "z-original.png", "saved without loss")


def test_an_original_wins_over_its_mirror_image() -> None:
    image = draw(1)
    original, flipped = signature("b.png", image), signature("a_flipped.png", ImageOps.mirror(image))
    (group,) = group_images([replace(flipped, size=1010), original])
    assert (group.kind, group.keep, group.reason) == ("mirrored", "b.png", "equally good, the shorter name")


@pytest.mark.parametrize(("others", "kept"), [(8, "z.png"), (0, "a.png")])
def test_of_a_picture_and_its_mirror_image_the_one_that_is_turned_as_the_others_stays(others: int, kept: str) -> None:
    """A bright side is on the left in all images but one, whose file is the larger."""

    def lit(seed: int) -> Image.Image:
        image = draw(seed)
        image.paste("white", (0, 0, image.width // 3, image.height))
        return image

    original = signature("z.png", lit(1))
    flipped = replace(signature("a.png", ImageOps.mirror(lit(1))), size=2000)
    groups = group_images(
        [original, flipped, *(signature(f"other-{seed}", lit(seed)) for seed in range(2, 2 + others))]
    )
    (group,) = (group for group in groups if group.kind == "mirrored")
    assert group.keep == kept
    assert (group.reason == "turned as most of the others") is bool(others)


def test_looks_are_asked_where_hashes_agree_only() -> None:
    asked: list[str] = []

    def asking(name: str, image: Image.Image) -> Signature:
        made = signature(name, image)

        def give() -> Thumbnail:
            asked.append(name)
            return take_thumbnail(image)

        return replace(made, thumbnail=give)

    signatures = [asking(str(seed), draw(seed)) for seed in range(10)]
    group_images([*signatures, asking("copy", draw(3).resize((128, 128)))])
    assert sorted(set(asked)) == ["3", "copy"]


def bust(shirt: str) -> Image.Image:
    """A person whose shirt reaches the lower edge."""
    image = Image.new("RGB", (512, 768), "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((156, 80, 356, 330), fill="brown")
    pen.ellipse((176, 120, 336, 320), fill="#ffe0c0", outline="black")
    pen.rectangle((150, 330, 362, 767), fill=shirt, outline="black")
    return image


def test_a_flat_part_at_one_side_is_no_border() -> None:
    shirts = [signature(colour, bust(colour)) for colour in ("red", "darkgreen", "white", "navy")]
    assert group_images(shirts) == ()
    assert {shirt.fingerprint.borders for shirt in shirts} <= {0, 1}


def test_the_sharp_one_of_many_blurs_stays_though_they_are_larger_files() -> None:
    image = draw(3, (512, 512))
    copies = [
        replace(signature(f"blurred_{sigma}", image.filter(ImageFilter.GaussianBlur(sigma))), size=5000 * sigma)
        for sigma in (3, 6, 9, 12, 16)
    ]
    assert {group.keep for group in group_images([*copies, signature("sharp", image)])} == {"sharp"}
