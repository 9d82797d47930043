"""`lorasmith prompt`: what prompts say and what templates give, without drawing them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lorasmith.cli.groups import group_around
from lorasmith.cli.rendering import give_text, print_json, say
from lorasmith.errors import LorasmithError, PromptError, UsageError

if TYPE_CHECKING:
    from lorasmith.adapters.cache import AdapterCache
    from lorasmith.bases.text.counting import TokenCount


app = typer.Typer(
    cls=group_around("explain"), help="Read and expand prompts without drawing them.", no_args_is_help=True
)

DEFAULT_STEPS = 20

Steps = Annotated[int, typer.Option(help="Steps of the picture.")]
CompatName = Annotated[str | None, typer.Option(help='Dialect: "a1111" for that tool\'s quirks.')]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def explain(
    text: Annotated[str, typer.Argument(metavar="PROMPT", help="The prompt.")],
    steps: Steps = DEFAULT_STEPS,
    compat: CompatName = None,
    adapters: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Where adapters are; ./adapters if none.")
    ] = None,
    base: Annotated[str, typer.Option(help='Whose words are counted: "doodle", a folder or a checkpoint.')] = "doodle",
    as_json: AsJson = False,
) -> None:
    """Explain a prompt: tokens, chunks, weights, schedule, adapters, and what is doubtful.

    `lorasmith prompt "..."` is short for it. Exit status 1 when something is wrong.

    Example: lorasmith prompt "zbk, (smile:1.2), [day:night:0.5] <lora:zbk:0.8>" --adapters adapters
    """
    from lorasmith.generation.judging import refuse_picture
    from lorasmith.generation.spec import PictureSpec
    from lorasmith.prompts.advice import advise
    from lorasmith.prompts.compatibility import read_compat
    from lorasmith.tags.refusal import refuse

    count, dialect = _whole("steps", steps, 1, 10_000), read_compat(compat)
    known = _known(adapters)
    prompt, advices = advise(text, count, dialect, known)
    if prompt is None:
        refuse(text, "prompt")
    else:
        refuse_picture(PictureSpec(text, steps=count, compat=dialect))
    counted = None
    if prompt is not None:
        from lorasmith.bases.text.counting import count_tokens

        words = None if known is None else known.words_of([network.name for network in prompt.networks])
        told = [part.schedule[0][1] for part in prompt.subprompts if part.networks or not part.beside]
        counted = count_tokens(told, base, prompt.compat, words)
    document: dict[str, Any] = {
        "prompt": None if prompt is None else prompt.as_json(),
        "chunks": None if counted is None else list(counted.chunks),
        "advice": [advice.as_json() for advice in advices],
    }
    if as_json:
        print_json(document)
    else:
        if document["prompt"] is not None:
            _show(document["prompt"])
            _show_chunks(counted, base)
        for advice in advices:
            rule = f" [{advice.rule}]" if advice.rule else ""
            say(f"{advice.level:<11}{advice.message}{rule}", style=None if advice.level == "note" else "yellow")
    if any(advice.level == "error" for advice in advices):
        raise typer.Exit(1)


@app.command()
def parse(
    text: Annotated[str | None, typer.Argument(metavar="[PROMPT]", help="The prompt; or none with --jsonl.")] = None,
    steps: Steps = DEFAULT_STEPS,
    compat: CompatName = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help='Read {"text", "steps"} lines, write one each.')] = False,
    as_json: AsJson = False,
) -> None:
    """Take a prompt apart: adapters, parts, schedule, emphasis.

    Example: lorasmith prompt parse "a (red:1.2) hat <lora:zbk:0.8>"
    """
    if jsonl:
        _answer_lines(_parse)
        return
    if text is None:
        raise UsageError("no prompt given.", hint="Write it behind the command, or pipe lines in with --jsonl.")
    document = _parse({"text": text, "steps": steps, "compat": compat})
    if as_json:
        print_json(document)
        return
    _show(document)


@app.command()
def expand(
    template: Annotated[str | None, typer.Argument(metavar="[TEMPLATE]", help="Or none with --jsonl.")] = None,
    n: Annotated[int | None, typer.Option("--n", help="How many; all of them in combinatorial mode if none.")] = None,
    seed: Annotated[int, typer.Option(help="Of the first picture; the next ones count on.")] = 0,
    mode: Annotated[str, typer.Option(help="random, combinatorial or cyclical.")] = "random",
    wildcards: Annotated[Path | None, typer.Option(metavar="DIR", help="Where wildcard files are.")] = None,
    prompt_seed: Annotated[int | None, typer.Option(help="Unlinks the prompts from the pictures' seeds.")] = None,
    fixed: Annotated[bool, typer.Option("--fixed-seed", help="All pictures have the same seed.")] = False,
    keep_missing: Annotated[bool, typer.Option(help="Leave wildcards that are not found as text.")] = False,
    count: Annotated[bool, typer.Option("--count", help="Only say how many prompts there are.")] = False,
    jsonl: Annotated[bool, typer.Option("--jsonl", help='Read {"template", "mode", "n", "seed"} lines.')] = False,
    as_json: AsJson = False,
) -> None:
    """Make prompts from a template: {a|b}, {2$$a|b|c}, __wildcards__, ${variables}.

    Example: lorasmith prompt expand "zbk, {smile|grin}, {red|blue} hat" --mode combinatorial
    """
    if jsonl:
        _answer_lines(_expand)
        return
    if template is None:
        raise UsageError("no template given.", hint="Write it behind the command, or pipe lines in with --jsonl.")
    from lorasmith.prompts.dynamic import Seeds, Wildcards, count_prompts, read_template
    from lorasmith.prompts.dynamic import expand as expand_template
    from lorasmith.prompts.dynamic.expansion import tell_count

    read = read_template(template, Wildcards(wildcards), keep_missing)
    if count:
        total = count_prompts(read)
        if as_json:
            print_json({"count": total})
        else:
            say(tell_count(total))
        return
    made = expand_template(read, n, Seeds(seed, prompt_seed, fixed), mode)  # type: ignore[arg-type]
    if as_json:
        print_json({"prompts": [each.as_json() for each in made]})
        return
    lines = [each.prompt for each in made]
    # Prompts of several lines could not be told apart.
    gap = "\n\n" if any("\n" in line for line in lines) else "\n"
    if lines:
        give_text(gap.join(lines))


def _answer_lines(answer: Callable[[object], dict[str, Any]]) -> None:
    """One line of JSON for each line; what is wrong with one becomes {"error": ...}, so that lines stay aligned."""
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            document = answer(json.loads(line))
        except LorasmithError as fault:
            document = {"error": str(fault)}
        except (ValueError, RecursionError) as fault:
            document = {"error": f"not a line of JSON: {fault}"}
        print_json(document, indent=None)


def _parse(question: object) -> dict[str, Any]:
    from lorasmith.prompts import parse as parse_prompt
    from lorasmith.prompts.compatibility import read_compat

    if not isinstance(question, dict) or not isinstance(question.get("text"), str):
        raise PromptError('expected {"text": "...", "steps": n}.')
    hires = question.get("hires_steps")
    return parse_prompt(
        question["text"],
        _whole("steps", question.get("steps", DEFAULT_STEPS), 1, 10_000),
        read_compat(question.get("compat")),
        # A1111's API says 0 for "no second pass".
        None if not hires else _whole("hires_steps", hires, 1, 10_000),
    ).as_json()


def _expand(question: object) -> dict[str, Any]:
    from lorasmith.prompts.dynamic import Wildcards
    from lorasmith.prompts.dynamic import expand as expand_template

    if not isinstance(question, dict) or not isinstance(question.get("template"), str):
        raise PromptError('expected {"template": "...", "mode": "random", "n": n, "seed": n}.')
    folder = question.get("wildcards")
    if folder is not None and not isinstance(folder, str):
        raise PromptError(f"wildcards = {folder!r} is not a folder.")
    n = question.get("n")
    made = expand_template(
        question["template"],
        None if n is None else _whole("n", n, 0, 1_000_000),
        _whole("seed", 0 if question.get("seed") is None else question["seed"], 0, 2**63 - 1),
        question.get("mode", "random"),
        Wildcards(folder),
    )
    return {"prompts": [each.prompt for each in made]}


def _whole(word: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise PromptError(f"{word} = {value!r} is not a whole number between {least} and {most}.")
    return value


def _known(folders: list[Path] | None) -> AdapterCache | None:
    """The adapters that there are; None where no folder is known, and no library."""
    from lorasmith.cli.commands.generate import find_shelf
    from lorasmith.library.lookup import LibraryLookup

    found, library = find_shelf(folders), LibraryLookup()
    if not found and library.index() is None:
        return None
    from lorasmith.adapters.cache import AdapterCache

    return AdapterCache(found, elsewhere=library)


def _show_chunks(counted: TokenCount | None, base: str) -> None:
    if counted is None:
        say(f"tokens     not counted: the words of {base} are not at hand")
        return
    chunks = list(counted.chunks)
    say(f"tokens     {sum(chunks)} in {len(chunks)} chunk{'s' if len(chunks) > 1 else ''} of {counted.room}: {chunks}")


def _show(document: dict[str, Any]) -> None:
    for network in document["networks"]:
        ranks = "" if network["dyn"] is None else f", first {network['dyn']} ranks"
        more = "".join(
            f", {key} {network[key]}" for key in ("curve", "start", "end", "blocks", "apart") if key in network
        )
        say(f"adapter    {network['name']}: text {network['te']:g}, denoiser {network['unet']:g}{ranks}{more}")
    for text, weight, *told in document["subprompts"]:
        say(f"part       {weight:g} x '{text}'{''.join(f', told to {who} alone' for who in told)}")
    for end, text in document["schedule"]:
        say(f"to step {end:<3}'{text}'")
    for text, weight in document["attention"]:
        say("new chunk" if weight == -1 and text == "BREAK" else f"emphasis   {weight:.3g} x '{text}'")
