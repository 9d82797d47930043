"""`lorasmith showcase`: many pictures from one template, and how many of them are usable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.cluster import ClusterOption
from lorasmith.cli.commands.generate import read_size
from lorasmith.cli.groups import group_around
from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import print_json, say, show
from lorasmith.cli.spec_options import spec_option
from lorasmith.errors import UsageError
from lorasmith.face.drawing import Pipelines, base_of, find_adapters
from lorasmith.face.grids import check_folder_name, name_folder
from lorasmith.generation.defaults import default_of

if TYPE_CHECKING:
    from lorasmith.exam.showcase import Judged

DEFAULT_COUNT = 20  # C2, C7


app = typer.Typer(
    cls=group_around("draw"), help="Draw varied pictures from a template; tell the hit rate.", no_args_is_help=True
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def draw(
    template: Annotated[str, typer.Argument(metavar="TEMPLATE", help="With {a|b}, __wildcards__, ${variables}.")],
    adapter: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="An adapter file, run or project; several may be given.")
    ] = None,
    base: Annotated[
        list[str] | None, typer.Option(help='"doodle", a diffusers folder or a checkpoint; several may be given.')
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Pictures for each base and adapter.")] = DEFAULT_COUNT,
    strength: Annotated[float, typer.Option(help="Of the adapters.")] = 0.8,
    control: Annotated[bool, typer.Option("--control", help="The bare base as well.")] = False,
    vary: Annotated[
        bool, typer.Option("--vary", help="Other prompts for each base and adapter, for the same image seeds.")
    ] = False,
    wildcards: Annotated[Path | None, typer.Option(metavar="DIR", help="Where wildcard files are.")] = None,
    mode: Annotated[str, typer.Option(help="random, combinatorial or cyclical.")] = "random",
    seed: Annotated[int, spec_option("seed", "showcase", "Of the first picture; the next ones count on.")] = default_of(
        "seed", "showcase"
    ),
    steps: Annotated[int, spec_option("steps")] = default_of("steps"),
    cfg: Annotated[float | None, spec_option("cfg")] = default_of("cfg"),
    sampler: Annotated[str, spec_option("sampler")] = default_of("sampler"),
    size: Annotated[str | None, typer.Option(metavar="WxH", help="In pixels; the base's own if none.")] = None,
    negative: Annotated[str, spec_option("negative")] = default_of("negative"),
    name: Annotated[str | None, typer.Option(help="Of the showcase's folder.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the showcase's folder goes.")] = Path("showcases"),
    cluster: ClusterOption = None,
    as_json: AsJson = False,
) -> None:
    """Draw a showcase: varied prompts from one template, on several bases and with several adapters (C2, C7).

    The same command goes on where it was stopped. Judge the pictures on its page, or by number with
    `lorasmith showcase mark`; the hit rate comes with its interval.

    Example: lorasmith showcase "zbk, {smile|grin|open mouth}, {red|blue|green} background" --adapter my-lora
    """
    if n < 1:
        raise UsageError(f"--n {n}: at least one picture.")
    check_folder_name(name)
    files = list(dict.fromkeys(find_adapters(given)[-1] for given in adapter or []))
    bases = base or [base_of(files[-1]) if files else "doodle"]
    width, height = read_size(size)
    from lorasmith.adapters.catalogue import name_files
    from lorasmith.exam.showcase import Column, ShowcaseSpec, draw_showcase, judge, publish_showcase
    from lorasmith.generation.spec import PictureSpec
    from lorasmith.pools.choosing import dealt_out
    from lorasmith.prompts.dynamic import Wildcards, read_template

    names: list[str | None] = [*name_files(files)]
    columns = tuple(
        Column(each, adapter) for each in bases for adapter in [*names, *([None] if control or not names else [])]
    )
    plan = ShowcaseSpec(
        template=read_template(template, Wildcards(wildcards)),
        columns=columns,
        n=n,
        spec=PictureSpec("", negative, seed, steps, cfg, sampler, width, height),
        strength=strength,
        mode=mode,  # type: ignore[arg-type]
        seed=seed,
        vary=vary,
    )
    facts = [template, (columns, seed, strength, mode, vary, plan.spec.as_json())]
    folder = out / (name or name_folder(template, facts, "showcase"))
    with dealt_out(cluster):
        showcase = show(draw_showcase(plan, Pipelines(files), folder), as_json)
    sheet, page = publish_showcase(folder)
    cells = [cell for row in showcase.cells for cell in row]
    if as_json:
        print_json(_document(folder, sheet, page, judge(folder)))
        return
    for cell in cells:
        if cell.error:
            say(f"not drawn ({cell.y}, picture {cell.x}): {cell.error}", style="yellow")
    say(f"showcase: {sheet}", style="green")
    say(f"judge the pictures: open {page}")
    say(f"then: {program()} showcase mark {typed(folder)} marks.json, or --keep 1-3,7 --reject 4")


@app.command()
def mark(
    folder: Annotated[Path, typer.Argument(metavar="SHOWCASE", help="The showcase's folder.")],
    marks: Annotated[
        Path | None, typer.Argument(metavar="[MARKS.json]", help="Downloaded from the showcase's page.")
    ] = None,
    keep: Annotated[str, typer.Option(help="Numbers of usable pictures: 1-3,7.")] = "",
    reject: Annotated[str, typer.Option(help="Numbers of those that are not.")] = "",
    clear: Annotated[str, typer.Option(help="Numbers to take marks from.")] = "",
    as_json: AsJson = False,
) -> None:
    """Mark pictures as kept or rejected, and tell the hit rate (C2). Without marks it only tells.

    Example: lorasmith showcase mark showcases/zbk --keep 1-8,10 --reject 9
    """
    from lorasmith.exam.showcase import RECORD, judge, mark_pictures, publish_showcase, tell_rate, write_marks
    from lorasmith.generation.grids.marks import read_marks, read_record

    if marks is not None:
        given = read_marks(marks)
        if read_record(folder / RECORD).get("id") != given.of:
            raise UsageError("are marks of another showcase.", where=marks)
        write_marks(folder, given.marks)
    mark_pictures(folder, _numbers("--keep", keep), _numbers("--reject", reject), _numbers("--clear", clear))
    sheet, page = publish_showcase(folder)
    judged = judge(folder)
    if as_json:
        print_json(_document(folder, sheet, page, judged))
        return
    for name, figure in judged.columns:
        if figure.n:
            say(f"{name}: {tell_rate(figure)}")
    if len(judged.columns) > 1 and judged.total.n:
        say(f"all: {tell_rate(judged.total)}")
    if judged.waiting:
        say(f"{judged.waiting} not judged")
    for line in judged.advice:
        say(line)
    say(f"sheet: {sheet}", style="green")


def _document(folder: Path, sheet: Path, page: Path, judged: Judged) -> dict[str, Any]:
    from lorasmith.exam.showcase import RECORD, read_all_marks
    from lorasmith.generation.grids.marks import read_record

    marks = read_all_marks(folder)
    pictures = []
    for picture in read_record(folder / RECORD)["pictures"]:
        shown = {**picture, "mark": marks.get(picture.get("key"))}
        if "path" in picture:
            shown["path"] = folder / picture["path"]
        pictures.append(shown)
    return {"showcase": folder, "sheet": sheet, "viewer": page, "pictures": pictures, **judged.as_json()}


def _numbers(option: str, text: str) -> list[int]:
    from lorasmith.generation.grids.values import read_whole_numbers, split_values

    return read_whole_numbers(option, split_values(text)) if text.strip() else []
