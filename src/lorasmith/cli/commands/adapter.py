"""`lorasmith adapter`: what adapter files are, whether they are what they say, and what can be made of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import print_json, say
from lorasmith.cli.skipping import SkipUnknown, say_skipped

if TYPE_CHECKING:
    from lorasmith.adapters.description import Description
    from lorasmith.adapters.surgery.merging import Operation
    from lorasmith.adapters.surgery.products import Cut

app = typer.Typer(help="Show, convert, merge, resize and extract adapter files.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Adapter files (.safetensors).")]
Out = Annotated[Path, typer.Option("--out", "-o", help="The new file.")]
RankOption = Annotated[int | None, typer.Option("--rank", min=1, help="Highest rank.")]
KeepOption = Annotated[
    float, typer.Option("--keep", min=0.0, max=1.0, help="Share of each layer's squared norm that must remain.")
]
RatioOption = Annotated[
    float | None, typer.Option("--ratio", min=1.0, help="Singular values below the largest / RATIO go.")
]
Spelling = Literal["lora", "kohya", "comfyui", "diffusers", "peft"]
BaseOption = Annotated[
    str | None, typer.Option("--base", help="Its base; needed for DoRA, (IA)^3, OFT, BOFT and GLoRA.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def show(files: Files, skip_unknown: SkipUnknown = False, as_json: AsJson = False) -> None:
    """Show what adapter files are: trigger, base family, rank, layers, hashes, commonest tags.

    Example: lorasmith adapter show my-lora.safetensors
    """
    from lorasmith.adapters.description import describe

    descriptions = [describe(file, skip_unknown) for file in files]
    if as_json:
        print_json({"adapters": [description.as_json() for description in descriptions]})
        return
    for description in descriptions:
        _show(description)


@app.command()
def verify(files: Files, as_json: AsJson = False) -> None:
    """Verify that adapter files are whole, finite and truthful, and say which tools take how many of their layers; exit
    status 1 when one is not in order.

    A hash in the header is checked; a file without one is in order, and so is one with LyCORIS's own, which is that of
    its tensors one by one and cannot be made again from a file.

    Example: lorasmith adapter verify adapters/*.safetensors --json
    """
    verdicts = [_verify(file) for file in files]
    if as_json:
        print_json({"adapters": verdicts})
    else:
        for verdict in verdicts:
            hashed = "" if verdict["hash"] is None else f" (hash: {verdict['hash']})"
            say(f"{verdict['path']}: {'in order' if verdict['ok'] else 'not in order'}{hashed}")
            for problem in verdict["problems"]:
                say(f"  {problem}")
            for each in verdict["tools"]:
                taken = f"{each['taken']} of {each['layers']} layers"
                say(f"  {each['tool']}: " + (f"refuses it: {each['refused']}" if each["refused"] else taken))
    if not all(verdict["ok"] for verdict in verdicts):
        raise typer.Exit(1)


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An adapter file of any algorithm and spelling.")],
    out: Out,
    to: Annotated[
        Spelling,
        typer.Option("--to", help="lora: a plain LoRA; kohya, comfyui, diffusers, peft: its names as they are there."),
    ] = "lora",
    rank: RankOption = None,
    keep: KeepOption = 1.0,
    base: BaseOption = None,
    skip_unknown: SkipUnknown = False,
    as_json: AsJson = False,
) -> None:
    """Make a plain LoRA of an adapter of any algorithm, exactly or to a rank; or spell its layers as other tools do.

    The error of a conversion is stated. `--to peft` writes a folder with one adapter for each part of the model.

    Example: lorasmith adapter convert my-loha.safetensors --out my-lora.safetensors --rank 32
    """
    if to == "lora":
        _operate([str(file)], out, _cut(rank, keep, None), base, skip_unknown, as_json)
    else:
        _respell(file, out, to, base, skip_unknown, as_json)


@app.command()
def resize(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An adapter file.")],
    out: Out,
    rank: RankOption = None,
    keep: KeepOption = 1.0,
    ratio: RatioOption = None,
    base: BaseOption = None,
    skip_unknown: SkipUnknown = False,
    as_json: AsJson = False,
) -> None:
    """Give a LoRA a smaller rank, losing as little as can be; the error is stated.

    Example: lorasmith adapter resize my-lora.safetensors --rank 8 --out small.safetensors
    """
    from lorasmith.errors import UsageError

    if rank is None and keep == 1.0 and ratio is None:
        raise UsageError("give --rank, --keep, --ratio or several of them.")
    _operate([str(file)], out, _cut(rank, keep, ratio), base, skip_unknown, as_json)


@app.command()
def merge(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE[:STRENGTH]...",
            help="Adapter files, with strengths: a number, or one for each block (TE=1,IN=0.5,M00=1,OUT03=0).",
        ),
    ],
    out: Out,
    into: Annotated[
        str | None, typer.Option("--into", help="Write a new checkpoint instead: this base with the adapters in it.")
    ] = None,
    rank: RankOption = None,
    keep: KeepOption = 1.0,
    base: BaseOption = None,
    skip_unknown: SkipUnknown = False,
    as_json: AsJson = False,
) -> None:
    """Make one LoRA of several adapters, exact without --rank and --keep; or a new checkpoint with them inside.

    Example: lorasmith adapter merge a.safetensors:0.8 b.safetensors:IN=0,OUT=1 --out both.safetensors
    """
    from lorasmith.errors import UsageError

    if into is None:
        _operate(files, out, _cut(rank, keep, None), base, skip_unknown, as_json)
        return
    if rank is not None or keep != 1.0 or base is not None:
        raise UsageError("--into merges exactly and names the base itself.", hint="Leave --rank, --keep, --base out.")
    _insert(files, out, into, skip_unknown, as_json)


@app.command()
def extract(
    tuned: Annotated[str, typer.Argument(metavar="TUNED", help="The checkpoint that has learnt something.")],
    base: Annotated[str, typer.Argument(metavar="BASE", help="The checkpoint that it was trained from.")],
    out: Out,
    rank: Annotated[int | None, typer.Option("--rank", min=1, help="Highest rank.")] = 32,
    keep: KeepOption = 1.0,
    unet_only: Annotated[bool, typer.Option("--unet-only", help="Leave the text encoders out.")] = False,
    attention_only: Annotated[bool, typer.Option("--attention-only", help="Transformers only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take out of a checkpoint what it has learnt beyond another one, as a LoRA; the error is stated.

    Checkpoint files, diffusers folders and hub ids are taken; one layer at a time is in memory.

    Example: lorasmith adapter extract tuned.safetensors base.safetensors --rank 32 --out taken.safetensors
    """
    from lorasmith.adapters.surgery.extraction import GROUPS
    from lorasmith.adapters.surgery.extraction import extract as take
    from lorasmith.bases.stored import open_stored
    from lorasmith.cli.rendering import show as watch
    from lorasmith.storage.files import refuse_existing

    refuse_existing(out)
    work = take(
        open_stored(tuned),
        open_stored(base),
        _cut(rank, keep, None),
        name=out.stem,
        groups=GROUPS[:2] if attention_only else GROUPS,
        text_encoder=not unet_only,
    )
    _tell_operation(watch(work, as_json), out, as_json)


@app.command()
def edit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An adapter file.")],
    out: Out,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a field: title, trigger, author ... or a full key."),
    ] = None,
    removed: Annotated[
        list[str] | None, typer.Option("--remove", metavar="KEY", help="Remove fields; * matches: ss_tag_*, ss_*.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Edit an adapter file's metadata into a new file; its tensors and their hash stay as they are.

    Example: lorasmith adapter edit my-lora.safetensors --set trigger=zbk --remove 'ss_dataset_*' -o new.safetensors
    """
    from lorasmith.adapters.surgery.editing import edit_metadata, read_edits
    from lorasmith.errors import UsageError

    if not values and not removed:
        raise UsageError("give --set KEY=VALUE or --remove KEY.", hint=f"{program()} adapter show tells what is there.")
    _refuse_itself(out, [file])
    changed = edit_metadata(file, out, read_edits(values or ()), removed or ())
    if as_json:
        print_json({"path": str(out), "changed": changed})
        return
    say(f"{out}: {len(changed)} fields changed")
    for key in changed:
        say(f"  {key}")


def _cut(rank: int | None, keep: float, ratio: float | None) -> Cut:
    from lorasmith.adapters.surgery.products import Cut

    return Cut(rank, keep, ratio)


def _operate(files: list[str], out: Path, cut: Cut, base: str | None, skip_unknown: bool, as_json: bool) -> None:
    from lorasmith.adapters.files import load_adapter
    from lorasmith.adapters.surgery.merging import merge as operate
    from lorasmith.bases.base import load_base
    from lorasmith.storage.files import refuse_existing

    paths, strengths = zip(*(_named(file) for file in files), strict=True)
    _refuse_itself(out, paths)
    refuse_existing(out)
    adapters = [load_adapter(path, skip_unknown) for path in paths]
    done = operate(adapters, strengths, cut, None if base is None else load_base(base))
    _tell_operation(done, out, as_json)


def _tell_operation(done: Operation, out: Path, as_json: bool) -> None:
    """Write the new adapter, and say what it lost."""
    from lorasmith.adapters.files import save_adapter

    save_adapter(out, done.adapter)
    worst = max(done.errors, key=lambda name: done.errors[name])
    if as_json:
        print_json(
            {
                "path": str(out),
                "rank": done.adapter.rank,
                "bytes": out.stat().st_size,
                "layers": len(done.adapter.layers),
                "error": done.error,
                "worst": {"layer": worst, "error": done.errors[worst]},
                "skipped": sorted(done.adapter.skipped),
            }
        )
        return
    say(f"{out}: rank {done.adapter.rank}, {len(done.adapter.layers)} layers, {out.stat().st_size:,} bytes")
    say(f"  lost     {done.error:.2%} of the change's norm; most in {worst} ({done.errors[worst]:.2%})")
    say_skipped(done.adapter.skipped)


def _insert(files: list[str], out: Path, into: str, skip_unknown: bool, as_json: bool) -> None:
    from lorasmith.adapters.files import load_adapter
    from lorasmith.adapters.surgery.insertion import insert
    from lorasmith.bases.stored import open_stored
    from lorasmith.cli.rendering import show as watch

    paths, strengths = zip(*(_named(file) for file in files), strict=True)
    stored = open_stored(into)
    _, skipped = watch(insert(stored, [load_adapter(path, skip_unknown) for path in paths], strengths, out), as_json)
    size = out.stat().st_size if out.is_file() else sum(each.stat().st_size for each in out.rglob("*"))
    if as_json:
        facts = {"path": str(out), "base": stored.name, "family": stored.family.name, "bytes": size}
        print_json({**facts, "skipped": skipped})
        return
    say(f"{out}: {stored.name} with {', '.join(path.stem for path in paths)} inside, {size:,} bytes")
    say_skipped(skipped)
    say(f"  next     {program()} generate 'a prompt' --base {typed(out)}")


def _respell(
    file: Path,
    out: Path,
    to: Literal["kohya", "comfyui", "diffusers", "peft"],
    base: str | None,
    skip_unknown: bool,
    as_json: bool,
) -> None:
    from lorasmith.adapters.surgery.respelling import respell

    _refuse_itself(out, [file])
    written, skipped = respell(file, out, to, base, skip_unknown)
    if as_json:
        print_json({"path": str(out), "files": [str(path) for path in written], "skipped": sorted(skipped)})
        return
    for path in written:
        say(f"{path}: {path.stat().st_size:,} bytes")
    say_skipped(skipped)


def _refuse_itself(out: Path, paths: Iterable[Path]) -> None:
    from lorasmith.errors import UsageError

    if out.exists() and any(path.exists() and out.samefile(path) for path in paths):
        raise UsageError(f"{out} is one of the files to read.", hint="Give another --out.")


def _named(file: str) -> tuple[Path, float | dict[str, float]]:
    """`FILE:STRENGTH`, a number or strengths by block; without one the strength is 1."""
    from lorasmith.adapters.surgery.blocks import read_blocks

    head, _, tail = file.rpartition(":")
    if not head or Path(file).exists():
        return Path(file), 1.0
    try:
        return Path(head), read_blocks(tail) if "=" in tail else float(tail)
    except ValueError:
        return Path(file), 1.0


def _verify(file: Path) -> dict[str, Any]:
    from lorasmith.adapters.description import describe, problems_of
    from lorasmith.adapters.files import adapter_files, read_header
    from lorasmith.adapters.readers import tell_readers
    from lorasmith.bases.families import FAMILIES
    from lorasmith.errors import AdapterError

    hashed: str | None = None
    tools: list[dict[str, Any]] = []
    try:
        description = describe(file)
        problems, hashed = problems_of(description), description.hashes.kind
        family = FAMILIES.get(description.family or "")
        if family is not None and not file.is_dir():
            shapes = {
                key: entry.shape for each in adapter_files(file) for key, entry in read_header(each).tensors.items()
            }
            tools = [each.as_json() for each in tell_readers(shapes, family)]
    except AdapterError as fault:
        problems = [str(fault).removeprefix(f"{file}: ")]
    return {"path": str(file), "ok": not problems, "hash": hashed, "problems": problems, "tools": tools}


def _show(description: Description) -> None:
    facts = description.as_json()
    hashes = {"wrong": f"WRONG (see: {program()} adapter verify)", "none": "none recorded"}
    kind, computed = facts["hashes"]["kind"], facts["hashes"].get("sshs_model_hash", "")
    layers = facts["layers"]
    alpha = "" if facts["alpha"] is None else f", alpha {facts['alpha']:g}"
    say(str(facts["path"]), style="bold")
    for word, value in (
        ("name", facts["name"]),
        ("trigger", facts["trigger"] or "none recorded"),
        ("base", " ".join(filter(None, (facts["family"] or "unknown family", facts["base"])))),
        ("kind", f"{', '.join(facts['algorithms'])}, rank {facts['rank']}{alpha}"),
        ("layers", f"{layers['unet']} in the denoiser, {layers['text_encoder']} in the text encoders"),
        ("size", f"{facts['bytes']:,} bytes, {facts['keys']} keys, {facts['dtype']}"),
        ("hashes", f"{hashes.get(kind, kind)}{f' ({computed[:12]})' if computed else ''}"),
        ("tags", ", ".join(f"{tag} ({count})" for tag, count in facts["tags"]) or "none recorded"),
    ):
        say(f"  {word:<8} {value}")
    for note in facts["notes"]:
        say(f"  {'note':<8} {note} ({program()} adapter convert --to diffusers)")
    if facts["embeddings"]:
        say(f"  {'words':<8} {', '.join(facts['embeddings'])} (embeddings in the file)")
    say_skipped(facts["skipped"])
