"""Pictures made from images, and an adapter's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lorasmith.cli.commands.curate.arguments import (
    AsJson,
    Boxes,
    Folder,
    Images,
    Picture,
    Seed,
    choose,
    read_box,
)
from lorasmith.cli.curation import name_some, show_made
from lorasmith.cli.rendering import print_json, say, show
from lorasmith.errors import UsageError

if TYPE_CHECKING:
    from lorasmith.project import Project


def alter(
    project: Folder,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IMAGE...]", help="What to copy; none with --replace-clones.", show_default=False),
    ] = None,
    operations: Annotated[
        list[str] | None,
        typer.Option(
            "--operation",
            help="crop, aspect, rotate, flip, overlay, grayscale, enhance or quality; can be repeated. "
            "Default: each in turn.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[int, typer.Option(help="Copies of each image.", min=1, max=50)] = 1,
    seed: Seed = 0,
    clones: Annotated[
        bool, typer.Option("--replace-clones", help="Altered copies in place of identical ones (D7).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make changed copies of images (D7).

    They lie in made/, with captions that say what was done.

    Example: lorasmith curate alter my-lora 01.png --operation grayscale --operation crop --count 2
    """
    from lorasmith.dataset.derive import alter_images, check_operations, replace_clones

    if clones == bool(images):
        raise UsageError("say which images.", hint="Name them, or give --replace-clones alone.")
    chosen_operations = check_operations(operations or [])
    opened, dataset, chosen = choose(project, images or [], as_json)
    if clones:
        made = show(replace_clones(opened, dataset, chosen_operations, seed=seed), as_json)
    else:
        made = show(alter_images(opened, chosen, chosen_operations, count=count, seed=seed), as_json)
    show_made(made, project, as_json, "There are no identical copies." if clones else "")


def collage(
    project: Folder,
    images: Images,
    layout: Annotated[
        str | None, typer.Option(help="side, stack, grid or inset. Default: by number and shape.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put images into one (D8).

    For a couple, or several views of one subject.

    Example: lorasmith curate collage my-lora anna.png ben.png --layout side
    """
    from lorasmith.face.deriving import make_collage_of
    from lorasmith.images.collage import LAYOUTS, Layout

    opened, dataset, chosen = choose(project, images, as_json)
    known: dict[str, Layout] = {name: name for name in LAYOUTS}
    if layout is not None and layout not in known:
        raise UsageError(f'--layout "{layout}" is not known.', hint=f"Layouts: {', '.join(LAYOUTS)}.")
    wanted = known[layout] if layout else None
    show_made(show(make_collage_of(opened, dataset, chosen, wanted), as_json), project, as_json)


def cut(
    project: Folder,
    image: Picture,
    box: Boxes = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--as", metavar="NAME", help="What the box before it shows, e.g. head.", show_default=False),
    ] = None,
    count: Annotated[int, typer.Option(help="Pictures to make, 15 to 20.")] = 18,
    mirrored: Annotated[
        bool, typer.Option("--flip/--no-flip", help="Mirror images too; not when its two sides differ.")
    ] = True,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Make a dataset of one image (D14).

    It has the parts of the image, and changed copies of them, greyscale among them. Draw the parts yourself if you
    can; without boxes the image is cut regularly, by the kind of subject.

    Example: lorasmith curate cut my-lora only.png --box 210,40,180,180 --as head --box 200,40,260,600 --as body
    """
    from lorasmith.face.deriving import make_dataset_of_one

    boxes = [read_box(text) for text in box or []]
    if names and len(names) != len(boxes):
        raise UsageError(f"{len(boxes)} boxes, {len(names)} names.", hint="Give each --box its --as, or none at all.")
    opened, dataset, chosen = choose(project, [image], as_json)
    if len(chosen) != 1:
        raise UsageError(f"{len(chosen)} images match; one is cut at a time.", hint="Write its name.")
    work = make_dataset_of_one(opened, dataset, chosen, boxes, names or [], mirrored=mirrored, count=count, seed=seed)
    show_made(show(work, as_json), project, as_json)
    if not as_json and not boxes:
        say("The cuts are regular: nothing here knows where head or hair are. Look at them; reject what shows nothing.")


def adopt(
    project: Folder,
    pictures: Annotated[
        list[Path],
        typer.Argument(metavar="PICTURE...", help="Pictures that you kept, or a folder of them.", show_default=False),
    ],
    round_number: Annotated[int, typer.Option("--round", help="The round of training that they are for.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Take an adapter's own pictures for round two (D15).

    Their prompt becomes their caption. 25 to 35 images are right for round two; stop as soon as strength 0.8 gives
    usable pictures.

    `curate round` draws and chooses by itself.

    Example: lorasmith curate adopt my-lora out/keepers
    """
    from lorasmith.dataset.derive import adopt as take
    from lorasmith.dataset.derive import read_drawings
    from lorasmith.project import open_project
    from lorasmith.tags.refusal import refuse

    opened = open_project(project)
    drawings = read_drawings(pictures)
    for path, drawing in drawings.items():
        if drawing is not None:
            refuse((drawing.prompt, drawing.fields.get("Hires prompt", "")), where=path)
    made = show(take(opened, drawings, round_number=round_number), as_json)
    show_made(made, project, as_json)
    if not as_json:
        _say_round(opened, round_number)
    silent = [path.name for path, drawing in drawings.items() if drawing is None]
    if silent and not as_json:
        say(f"Without a prompt inside, so without a caption: {name_some(silent)}", style="yellow")


def second_round(
    project: Folder,
    adapter: Annotated[
        Path | None,
        typer.Option("--adapter", metavar="FILE", help="Draw with it; by default that of the newest run."),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            min=1,
            max=500,
            help="Pictures to keep; by default 24, or 4 of each new value, and never more than there are images.",
        ),
    ] = None,
    number: Annotated[int, typer.Option("--round", min=2, help="The round of training that they are for.")] = 2,
    events: Annotated[
        bool, typer.Option("--events", help="One event a line on stdout, for programs; the last says what was taken.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Draw what no image shows beside the subject, and take what came out right (D15, C4).

    The adapter draws with the base's help, and the exam's judge keeps what shows the subject and the new thing. Look at
    what was taken, reject what you do not like, and train again. A round that was stopped goes on where it was.

    Example: lorasmith curate round my-lora
    """
    from lorasmith.face.rounds import adopt_round
    from lorasmith.project import open_project

    opened = open_project(project)
    adopted = show(adopt_round(opened, adapter, count, number=number), as_json, json_events=events)
    if events:
        print_json({"event": "done", **adopted.as_json(), "made": adopted.fresh}, indent=None)
        return
    if as_json:
        print_json(adopted.as_json())
        return
    told = ", ".join(f"{value} {kept}" for value, kept in adopted.drawn.shown.items())
    say(f"{len(adopted.drawn.kept)} of {adopted.drawn.drawn} pictures were right: {told or 'none'}")
    if adopted.drawn.missed:
        say(f"Never right beside the subject: {', '.join(adopted.drawn.missed)}", style="yellow")
    show_made(adopted.made, project, as_json, "Nothing was taken into the dataset.")


def _say_round(opened: Project, round_number: int) -> None:
    """How far the next round's dataset is."""
    from lorasmith.dataset.derive import SECOND_ROUND
    from lorasmith.dataset.reading import read_dataset

    count, (fewest, most) = len(show(read_dataset(opened), True).items), SECOND_ROUND
    if round_number == 2:
        advice = "that is right" if fewest <= count <= most else f"{fewest} to {most} are advised (D15)"
        say(f"The dataset of round 2 has {count} images; {advice}.")
