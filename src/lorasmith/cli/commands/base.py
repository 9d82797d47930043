"""`lorasmith base`: what base models are, and old files made safe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lorasmith.cli.program import program, typed
from lorasmith.cli.rendering import print_json, say

app = typer.Typer(help="Show what base models are; make safetensors of old pickled ones.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def show(
    base: Annotated[str, typer.Argument(help="A checkpoint file, a diffusers folder, a hub id, or doodle.")],
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Load it, and let one pass tell what it predicts."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show a base's family, layers and what it predicts, from its headers alone.

    Example: lorasmith base show model.safetensors
    """
    from lorasmith.bases.describe import describe_base

    seen = describe_base(base, probe=probe)
    if as_json:
        print_json(seen)
        return
    say(str(seen["path"]), style="bold")
    for word, value in (
        ("family", seen["family"]),
        ("predicts", seen["prediction"] or "not said; training finds out with one pass (or: --probe)"),
        ("layers", f"{seen['layers']['unet']} in the denoiser, {seen['layers']['text_encoder']} in the text encoders"),
        ("numbers", f"{seen['parameters']:,}, {', '.join(seen['dtypes'])}"),
        ("size", f"{seen['bytes']:,} bytes"),
    ):
        say(f"  {word:<8} {value}")


@app.command()
def convert(
    file: Annotated[Path, typer.Argument(help="An old .ckpt, .pt or .bin file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The new .safetensors file.")],
    as_json: AsJson = False,
) -> None:
    """Make a safetensors file of a pickled checkpoint or embedding; one that holds more than tensors is refused.

    Example: lorasmith base convert old.ckpt --out new.safetensors
    """
    from lorasmith.bases.pickles import convert_pickle

    count = convert_pickle(file, out)
    if as_json:
        print_json({"path": str(out), "tensors": count, "bytes": out.stat().st_size})
        return
    say(f"{out}: {count} tensors, {out.stat().st_size:,} bytes")
    say(f"next: {program()} base show {typed(out)}")
