"""`lorasmith adapter`: what adapter files are, whether they are what they say, and what can be made of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.rendering import print_json, say

if TYPE_CHECKING:
    from lorasmith.adapters.description import Description

app = typer.Typer(help="Show, verify, convert, merge and resize adapter files.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Adapter files (.safetensors).")]
Out = Annotated[Path, typer.Option("--out", "-o", help="The new file.")]
RankOption = Annotated[int | None, typer.Option("--rank", min=1, help="Highest rank.")]
KeepOption = Annotated[
    float, typer.Option("--keep", min=0.0, max=1.0, help="Share of each layer's squared norm that must remain.")
]
BaseOption = Annotated[
    str | None, typer.Option("--base", help="Its base; needed for DoRA, (IA)^3, OFT, BOFT and GLoRA.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def show(files: Files, as_json: AsJson = False) -> None:
    """Show what adapter files are: trigger, base family, rank, layers, hashes, commonest tags.

    Example: lorasmith adapter show my-lora.safetensors
    """
    from lorasmith.adapters.description import describe

    descriptions = [describe(file) for file in files]
    if as_json:
        print_json({"adapters": [description.as_json() for description in descriptions]})
        return
    for description in descriptions:
        _show(description)


@app.command()
def verify(files: Files, as_json: AsJson = False) -> None:
    """Verify that adapter files are whole, finite and truthful; exit status 1 when one is not.

    Example: lorasmith adapter verify adapters/*.safetensors --json
    """
    verdicts = [_verify(file) for file in files]
    if as_json:
        print_json({"adapters": verdicts})
    else:
        for verdict in verdicts:
            say(f"{verdict['path']}: {'in order' if verdict['ok'] else 'not in order'}")
            for problem in verdict["problems"]:
                say(f"  {problem}")
    if not all(verdict["ok"] for verdict in verdicts):
        raise typer.Exit(1)


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An adapter file of any algorithm.")],
    out: Out,
    rank: RankOption = None,
    keep: KeepOption = 1.0,
    base: BaseOption = None,
    as_json: AsJson = False,
) -> None:
    """Make a plain LoRA of an adapter of any algorithm, exactly or to a rank; the error is stated.

    Example: lorasmith adapter convert my-loha.safetensors --out my-lora.safetensors --rank 32
    """
    _operate([str(file)], out, rank, keep, base, as_json)


@app.command()
def resize(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An adapter file.")],
    out: Out,
    rank: RankOption = None,
    keep: KeepOption = 1.0,
    base: BaseOption = None,
    as_json: AsJson = False,
) -> None:
    """Give a LoRA a smaller rank, losing as little as can be; the error is stated.

    Example: lorasmith adapter resize my-lora.safetensors --rank 8 --out small.safetensors
    """
    from lorasmith.errors import UsageError

    if rank is None and keep == 1.0:
        raise UsageError("give --rank, --keep or both.")
    _operate([str(file)], out, rank, keep, base, as_json)


@app.command()
def merge(
    files: Annotated[list[str], typer.Argument(metavar="FILE[:STRENGTH]...", help="Adapter files, with strengths.")],
    out: Out,
    rank: RankOption = None,
    keep: KeepOption = 1.0,
    base: BaseOption = None,
    as_json: AsJson = False,
) -> None:
    """Make one LoRA of several adapters; exact without --rank and --keep.

    Example: lorasmith adapter merge a.safetensors:0.8 b.safetensors:-0.3 --out both.safetensors
    """
    _operate(files, out, rank, keep, base, as_json)


def _operate(files: list[str], out: Path, rank: int | None, keep: float, base: str | None, as_json: bool) -> None:
    from lorasmith.adapters.files import load_adapter, save_adapter
    from lorasmith.adapters.surgery.products import Cut
    from lorasmith.adapters.surgery.merging import merge as operate
    from lorasmith.bases.base import load_base
    from lorasmith.errors import UsageError

    paths, strengths = zip(*(_named(file) for file in files), strict=True)
    if out.exists() and any(path.exists() and out.samefile(path) for path in paths):
        raise UsageError(f"{out} is one of the files to read.", hint="Give another --out.")
    adapters = [load_adapter(path) for path in paths]
    done = operate(adapters, strengths, Cut(rank, keep), None if base is None else load_base(base))
    save_adapter(out, done.adapter)
    worst = max(done.errors, key=lambda name: done.errors[name])
    if as_json:
        print_json(
            {
                "path": str(out),
                "rank": done.adapter.rank,
                "bytes": out.stat().st_size,
                "error": done.error,
                "worst": {"layer": worst, "error": done.errors[worst]},
            }
        )
        return
    say(f"{out}: rank {done.adapter.rank}, {out.stat().st_size:,} bytes")
    say(f"  lost     {done.error:.2%} of the change's norm; most in {worst} ({done.errors[worst]:.2%})")


def _named(file: str) -> tuple[Path, float]:
    """`FILE:STRENGTH`; without a number the strength is 1."""
    head, _, tail = file.rpartition(":")
    try:
        return (Path(head), float(tail)) if head else (Path(file), 1.0)
    except ValueError:
        return Path(file), 1.0


def _verify(file: Path) -> dict[str, Any]:
    from lorasmith.adapters.description import describe, problems_of
    from lorasmith.errors import AdapterError

    try:
        problems = problems_of(describe(file))
    except AdapterError as fault:
        problems = [str(fault).removeprefix(f"{file}: ")]
    return {"path": str(file), "ok": not problems, "problems": problems}


def _show(description: Description) -> None:
    facts = description.as_json()
    hashes = {True: "correct", False: "WRONG (see: lorasmith adapter verify)", None: "none recorded"}
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
        ("hashes", f"{hashes[facts['hashes']['ok']]} ({facts['hashes']['sshs_model_hash'][:12]})"),
        ("tags", ", ".join(f"{tag} ({count})" for tag, count in facts["tags"]) or "none recorded"),
    ):
        say(f"  {word:<8} {value}")
