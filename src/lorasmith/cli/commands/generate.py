"""`lorasmith generate`: pictures from a prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from lorasmith.cli.precision import PrecisionOption, WeightsOption, read_precision, read_weights
from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import print_json, say, show
from lorasmith.cli.skipping import SkipUnknown, say_skipped, skipped_of
from lorasmith.cli.spec_options import spec_option
from lorasmith.errors import UsageError
from lorasmith.generation.defaults import Face, default_of, random_seed
from lorasmith.generation.spec import PARAMETERS, Emphasis, Hires, PictureSpec, Variation

if TYPE_CHECKING:
    from lorasmith.events import Event, Work
    from lorasmith.generation.pictures import Picture
    from lorasmith.generation.spec import InitImage
    from lorasmith.prompts.compatibility import Compat
    from lorasmith.prompts.dynamic import Expansion

FACE: Face = "generate"
FORMATS = ("png", "jpg", "webp")
_SIZE = re.compile(r"(\d+)\s*[xX×]\s*(\d+)")


def command(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help=PARAMETERS["prompt"].help)],
    base: Annotated[str, typer.Option(help='"doodle", a checkpoint file, a diffusers folder or a hub id.')] = "doodle",
    precision: PrecisionOption = "auto",
    weights: WeightsOption = "full",
    seed: Annotated[int | None, spec_option("seed", FACE, "Of the first picture; the next ones count on")] = default_of(
        "seed", FACE
    ),
    steps: Annotated[int, spec_option("steps")] = default_of("steps"),
    cfg: Annotated[float | None, spec_option("cfg")] = default_of("cfg"),
    sampler: Annotated[str, spec_option("sampler")] = default_of("sampler"),
    schedule: Annotated[str, spec_option("schedule")] = default_of("schedule"),
    eta: Annotated[float | None, spec_option("eta")] = default_of("eta"),
    size: Annotated[str | None, typer.Option(metavar="WxH", help="In pixels; the base's own if none.")] = None,
    n: Annotated[int, typer.Option("--n", help="How many pictures.")] = 1,
    negative: Annotated[str, spec_option("negative")] = default_of("negative"),
    clip_skip: Annotated[int, spec_option("clip_skip")] = default_of("clip_skip"),
    emphasis: Annotated[str, spec_option("emphasis")] = default_of("emphasis"),
    compat: Annotated[str | None, spec_option("compat")] = default_of("compat"),
    variation: Annotated[
        str | None, typer.Option(metavar="SEED:SHARE", help="Mix in a second seed's noise, such as 7:0.2.")
    ] = None,
    init: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw over this picture.")] = None,
    strength: Annotated[float, spec_option("init.strength", before="With --init: ")] = default_of("init.strength"),
    mask: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --init: only what is white here is drawn anew.")
    ] = None,
    resize: Annotated[str, spec_option("init.resize", before="With --init: ")] = default_of("init.resize"),
    hires: Annotated[str | None, typer.Option(metavar="SCALE|WxH", help="A second pass at a larger size.")] = None,
    hires_steps: Annotated[int | None, spec_option("hires.steps")] = default_of("hires.steps"),
    denoising: Annotated[float, spec_option("hires.denoising")] = default_of("hires.denoising"),
    upscaler: Annotated[str, spec_option("hires.upscaler")] = default_of("hires.upscaler"),
    hires_prompt: Annotated[str | None, spec_option("hires.prompt")] = default_of("hires.prompt"),
    hires_negative: Annotated[str | None, spec_option("hires.negative")] = default_of("hires.negative"),
    tiling: Annotated[bool, spec_option("tiling")] = default_of("tiling"),
    dynamic: Annotated[
        bool, typer.Option("--dynamic", help="PROMPT is a template: {a|b}, __wildcards__, ${variables}.")
    ] = False,
    wildcards: Annotated[
        Path | None, typer.Option(metavar="DIR", help="With --dynamic: where wildcard files are.")
    ] = None,
    prompt_seed: Annotated[
        int | None, typer.Option(help="With --dynamic: unlinks the prompts from the pictures' seeds.")
    ] = None,
    preview: Annotated[
        int, typer.Option(metavar="STEPS", help="Every so many steps write preview-N.png beside the pictures.")
    ] = 0,
    adapters: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Where adapters are, before those of the library; ./adapters if none."),
    ] = None,
    skip_unknown: SkipUnknown = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where pictures go; none is ever overwritten.")] = Path(
        "pictures"
    ),
    kind: Annotated[str, typer.Option("--format", help="png, jpg or webp; all carry their recipe.")] = "png",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Draw pictures from a prompt; <lora:NAME:0.8> works.

    Example: lorasmith generate "zbk, smile, blue background <lora:zbk:0.8>" --adapters adapters --n 4
    """
    if n < 1:
        raise UsageError(f"--n {n}: at least one picture.")
    if kind not in FORMATS:
        raise UsageError(f"--format {kind}: unknown.", hint=f"Known: {', '.join(FORMATS)}.")
    if mask is not None and init is None:
        raise UsageError("--mask without --init.", hint="Say with --init FILE which picture to draw over.")
    if not dynamic and (wildcards is not None or prompt_seed is not None):
        raise UsageError("--wildcards and --prompt-seed are for templates.", hint="Add --dynamic.")
    width, height = read_size(size)
    second_seed = read_variation(variation)
    second_pass = read_hires(hires)
    if second_pass is not None:
        own: dict[str, Any] = {"steps": hires_steps, "denoising": denoising, "upscaler": upscaler}
        second_pass = replace(second_pass, **own, prompt=hires_prompt, negative=hires_negative)
    folders = find_shelf(adapters)
    numbers, form = read_precision(precision), read_weights(weights)
    from lorasmith.adapters.cache import AdapterCache
    from lorasmith.bases.base import open_base
    from lorasmith.face.drawing import save_free
    from lorasmith.generation.base_facts import known_facts
    from lorasmith.generation.checks import check
    from lorasmith.generation.grids.drawing import sign
    from lorasmith.generation.pipeline import Pipeline
    from lorasmith.library.lookup import LibraryLookup

    first = random_seed() if seed is None else seed
    start = _read_init(init, strength, mask, resize)
    made: list[Expansion] = []
    prompts = [(prompt, first + index) for index in range(n)]
    if dynamic:
        from lorasmith.prompts.dynamic import Seeds, Wildcards, expand, read_template

        made = list(expand(read_template(prompt, Wildcards(wildcards)), n, Seeds(first, prompt_seed)))
        prompts = [(each.prompt, each.seed) for each in made]
    specs = [
        PictureSpec(
            prompt=text,
            negative=negative,
            seed=own,
            steps=steps,
            cfg=cfg,
            sampler=sampler,
            width=width,
            height=height,
            clip_skip=clip_skip,
            emphasis=cast(Emphasis, emphasis),
            compat=cast("Compat", compat),
            schedule=schedule,
            eta=eta,
            variation=second_seed,
            init=start,
            hires=second_pass,
            tiling=tiling,
        )
        for text, own in prompts
    ]
    for spec in specs:
        check(spec, known_facts(base))
    adapters_here = AdapterCache(folders, skip_unknown=skip_unknown, elsewhere=LibraryLookup())
    pipeline = Pipeline(open_base(base, numbers, weights=form), adapters_here, mixed=False)
    for spec in specs:
        pipeline.check(spec)
    drawn: list[dict[str, Any]] = []
    skipped: dict[str, Sequence[str]] = {}
    with _previewed(out, preview) as see:
        for begin in range(0, n, pipeline.batch_size):  # saved batch by batch: stopping keeps what is finished
            part = specs[begin : begin + pipeline.batch_size]
            for index, picture in enumerate(show(see(pipeline.draw(part, preview)), as_json), begin):
                path = save_free(sign(picture, made[index]) if made else picture, out, kind)
                skipped |= skipped_of([picture])
                drawn.append({"path": path, "seed": picture.spec.seed, "prompt": picture.spec.prompt})
    if as_json:
        print_json({"pictures": drawn} | ({"skipped": skipped} if skipped else {}))
    else:
        _say_drawn(drawn, skipped, prompts_differ=dynamic)


def _say_drawn(drawn: Sequence[dict[str, Any]], skipped: dict[str, Sequence[str]], *, prompts_differ: bool) -> None:
    for each in drawn:
        say(f"{each['path']}  seed {each['seed']}{'  ' + str(each['prompt']) if prompts_differ else ''}")
    for name, keys in skipped.items():
        say_skipped(keys, name)
    say(f"Draw one again from itself with: {program()} picture redo {typed(drawn[0]['path'])}", style="dim")


def read_size(text: str | None) -> tuple[int | None, int | None]:
    """``512x768`` as (width, height); (None, None) for the base's own. Raises UsageError."""
    if text is None:
        return None, None
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f'--size "{text}" is not understood.', hint="Write WIDTHxHEIGHT, for example 512x768.")
    return int(match[1]), int(match[2])


def read_variation(text: str | None) -> Variation | None:
    """``7:0.2`` as a second seed and its share. Raises UsageError."""
    if text is None:
        return None
    seed, _, share = text.partition(":")
    try:
        return Variation(int(seed), float(share or "nothing"))
    except ValueError:
        raise UsageError(f'--variation "{text}" is not understood.', hint="Write SEED:SHARE, such as 7:0.2.") from None


def read_hires(text: str | None) -> Hires | None:
    """``1.5`` or ``768x768`` as a second pass. Raises UsageError."""
    if text is None:
        return None
    size = _SIZE.fullmatch(text.strip())
    if size is not None:
        return Hires(width=int(size[1]), height=int(size[2]))
    try:
        return Hires(float(text))
    except ValueError:
        raise UsageError(
            f'--hires "{text}" is not understood.', hint="Write a scale such as 1.5, or WIDTHxHEIGHT."
        ) from None


def find_shelf(folders: list[Path] | None) -> list[Path]:
    """The folders given, each of which must exist; else ./adapters if there is one (embeddings beside it are found),
    else ./embeddings. Raises UsageError."""
    if not folders:
        return [each for each in (Path("adapters"), Path("embeddings")) if each.is_dir()][:1]
    for folder in folders:
        if not folder.exists():
            raise UsageError("no such file or folder.", where=folder)
    return folders


def _read_init(init: Path | None, strength: float, mask: Path | None, resize: Any) -> InitImage | None:
    if init is None:
        return None
    from lorasmith.generation.pictures import read_init

    return read_init(init, strength, mask, resize)


@contextmanager
def _previewed(out: Path, every: int) -> Iterator[Any]:
    """Gives a way to let previews of some work be written; on exit they are gone, as the pictures are there."""
    if every < 0:
        raise UsageError(f"--preview {every}: a number of steps.")
    written: set[Path] = set()

    def see(work: Work[list[Picture]]) -> Work[list[Picture]]:
        from lorasmith.events import Preview
        from lorasmith.generation.pictures import save_image

        while True:
            try:
                event: Event = next(work)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            if isinstance(event, Preview):
                path = out / f"preview-{event.index + 1}.png"
                written.add(save_image(event.image, path))
            yield event

    try:
        yield see
    finally:
        for path in written:
            path.unlink(missing_ok=True)
