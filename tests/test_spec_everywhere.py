"""Every field of a picture through every face: the same default unless a table says otherwise, the same range."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel

from lorasmith.cli.commands import generate, grid, showcase
from lorasmith.cli.main import run
from lorasmith.diffusion.samplers import SAMPLERS
from lorasmith.errors import UsageError
from lorasmith.generation.base_facts import BaseFacts
from lorasmith.generation.checks import check, settle
from lorasmith.generation.defaults import DIFFERENCES, Face, default_of
from lorasmith.generation.grids.fields import field_names, other_names, read_field, set_field
from lorasmith.generation.grids.typed import read_axis
from lorasmith.generation.infotext import read_infotext, write_infotext
from lorasmith.generation.parameters import Parameter
from lorasmith.generation.spec import (
    PARAMETERS,
    PARTS,
    Hires,
    InitImage,
    PictureSpec,
    StoredInit,
    Variation,
    read_spec,
)
from lorasmith.server.native import schemas
from lorasmith.server.stored_spec import read_stored, write_stored
from lorasmith.server.webui import bodies
from lorasmith.server.webui.fields import DRAWING, EMPHASES, IMG2IMG, OPTIONS, TXT2IMG, Theirs
from tests.server.running import Plain, plain_settings, running

FACTS = BaseFacts(resolution=512, cfg=7.0, text_layers=24)
#: What the command line writes with others in one option, which is left out by default.
COMPOSED = {
    **dict.fromkeys(("width", "height"), "--size"),
    **dict.fromkeys(("variation.seed", "variation.strength"), "--variation"),
    **dict.fromkeys(("hires.scale", "hires.width", "hires.height"), "--hires"),
}
#: What a grid and a showcase have options for; a grid sets other fields by name.
USUAL = {"seed", "steps", "cfg", "sampler", "width", "height", "negative"}
#: What that API has no word for.
NOT_THEIRS = {"compat"}
BODIES: tuple[tuple[tuple[Theirs, ...], type[BaseModel]], ...] = (
    (DRAWING, bodies.Txt2Img),
    (TXT2IMG, bodies.Txt2Img),
    (IMG2IMG, bodies.Img2Img),
    (OPTIONS, bodies.Options),
)
NATIVE: dict[str, type[BaseModel]] = {
    "": schemas.PictureRequest,
    "variation": schemas.Variation,
    "init": schemas.Init,
    "hires": schemas.Hires,
}
COMMANDS: dict[Face, typer.Typer] = {"generate": typer.Typer(), "grid": grid.app, "showcase": showcase.app}
COMMANDS["generate"].command("draw")(generate.command)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with running(plain_settings(tmp_path_factory.mktemp("faces")), Plain()) as (client, _):
        yield client


def options_of(face: Face) -> dict[str, Any]:
    """The defaults of a command's options by their long names."""
    found: Any = typer.main.get_command(COMMANDS[face])
    if hasattr(found, "commands"):
        found = found.commands["draw"]
    return {each.opts[0]: each.default for each in found.params}


def part_of(field: str) -> tuple[str, str]:
    part, dot, inner = field.partition(".")
    return (part, inner) if dot else ("", field)


def with_field(field: str, value: Any) -> PictureSpec:
    """A spec with one field set, as it was given."""
    part, inner = part_of(field)
    if not part:
        return replace(PictureSpec("a"), **{inner: value})
    blank = InitImage(Image.new("RGB", (8, 8))) if part == "init" else PARTS[part]()
    changed: Any = replace(blank, **{inner: value})
    return replace(PictureSpec("a"), **{part: changed})


def wrong_values(known: Parameter) -> list[Any]:
    """What a field cannot be."""
    if known.kind == "choice":
        return ["nothing of the kind"]
    if known.kind in ("text", "boolean"):
        return []
    span = 1 if known.kind == "integer" else 0.125
    assert known.least is not None, known.name
    assert known.most is not None, known.name
    return [known.least - span, known.most + span]


WRONG = [(name, value) for name, known in PARAMETERS.items() for value in wrong_values(known)]


def test_every_field_has_bounds_that_are_tried() -> None:
    tried = {name for name, _ in WRONG}
    assert len(tried) > 15
    assert {name for name, known in PARAMETERS.items() if known.kind not in ("text", "boolean")} == tried


@pytest.mark.parametrize("face", COMMANDS)
def test_the_command_line_has_the_same_defaults(face: Face) -> None:
    options = options_of(face)
    for name, known in PARAMETERS.items():
        option = COMPOSED.get(name, f"--{known.option}")
        if name in ("prompt", "base") or (face != "generate" and name not in USUAL):
            continue
        assert options[option] == (None if name in COMPOSED else default_of(name, face)), name
    assert all(field in PARAMETERS for differences in DIFFERENCES.values() for field in differences)


@pytest.mark.parametrize("name", PARAMETERS)
def test_our_api_has_the_same_defaults_and_ranges(name: str) -> None:
    part, inner = part_of(name)
    field, known = NATIVE[part].model_fields[inner], PARAMETERS[name]
    assert field.default == default_of(name, "native")
    assert known.help in str(field.description)
    bounds = {type(each).__name__: each for each in field.metadata}
    if known.kind in ("integer", "number") and field.metadata:
        assert (bounds["Ge"].ge, bounds["Le"].le) == (known.least, known.most)


def test_the_web_uis_fields_differ_only_where_the_table_says_so() -> None:
    seen = set()
    for rows, body in BODIES:
        for row in rows:
            seen.add(row.field)
            assert body.model_fields[row.name].default == row.own_default, row.name
            assert (row.own_default == PARAMETERS[row.field].default) or row.why, row.name
    assert seen == PARAMETERS.keys() - NOT_THEIRS


def test_the_form_tells_every_field(client: httpx.Client) -> None:
    fields = {each["name"]: each for each in client.get("/api/v1/form").json()["fields"]}
    assert fields.keys() == PARAMETERS.keys()
    for name, known in PARAMETERS.items():
        told = fields[name]
        assert told["default"] == default_of(name, "native")
        assert (told["least"], told["most"], told["step"]) == (known.least, known.most, known.step)
        assert (told["label"], told["choices"]) == (known.label, list(known.choices))


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_the_check_refuses_what_is_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(UsageError) as caught:
        check(with_field(name, value))
    assert caught.value.field == name


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_the_command_line_refuses_it(
    name: str, value: Any, capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("start.png")
    text = f"{value:g}" if isinstance(value, float) and value < 1e15 else str(value)
    words = {
        "width": ["--size", f"{text}x64"],
        "height": ["--size", f"64x{text}"],
        "variation.seed": ["--variation", f"{text}:0.5"],
        "variation.strength": ["--variation", f"3:{text}"],
        "hires.width": ["--hires", f"{text}x512"],
        "hires.height": ["--hires", f"512x{text}"],
    }.get(name, [f"--{PARAMETERS[name].option}={text}"])
    if name.startswith("init."):
        words += ["--init", "start.png"]
    elif name.startswith("hires.") and name not in COMPOSED:
        words += ["--hires", "2"]
    assert run(["generate", "a", *words, "--json"]) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["field"] == name
    assert not (tmp_path / "pictures").exists()


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_our_api_refuses_it(client: httpx.Client, name: str, value: Any) -> None:
    part, inner = part_of(name)
    if part == "init":
        body: dict[str, Any] = {"init": {"image": "AAAA", inner: value}}
    else:
        body = {part: {inner: value}} if part else {inner: value}
    answer = client.post("/api/v1/jobs", json={"prompt": "a", **body})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["where"] == name


@pytest.mark.parametrize("row", [*DRAWING, *TXT2IMG, *IMG2IMG], ids=lambda row: f"{row.name}-{row.field}")
def test_the_web_uis_api_refuses_it(client: httpx.Client, row: Theirs) -> None:
    known = PARAMETERS[row.field]
    image = {"init_images": ["AAAA"]} if row in IMG2IMG else {}
    path = "img2img" if row in IMG2IMG else "txt2img"
    wrong = wrong_values(known)
    for value in wrong if row.kind is not int else [-1, 4]:
        given: Any = value
        if row.least is not None and known.least is not None and value < known.least:
            given = row.least - 1
        body = {"prompt": "a", "enable_hr": True, "width": 64, "height": 64, "steps": 2, **image, row.name: given}
        answer = client.post(f"/sdapi/v1/{path}", json=body)
        if row.field == "sampler":  # as that API says it
            assert answer.status_code == 404
            continue
        assert answer.status_code == 422, answer.text
        assert row.name in answer.text
    assert set(EMPHASES.values()) == set(PARAMETERS["emphasis"].choices)


# Text and documents, both ways

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40).map(str.strip)


def values_of(known: Parameter) -> st.SearchStrategy[Any]:
    """What a field can be."""
    if known.kind == "boolean":
        return st.booleans()
    if known.kind == "choice":
        found: st.SearchStrategy[Any] = st.sampled_from(known.choices)
    elif known.kind == "integer":
        step = int(known.step or 1)
        least, most = int(known.least or 0), int(known.most or 0)
        found = st.integers(math.ceil(least / step), most // step).map(lambda number: number * step)
    elif known.kind == "number":
        found = st.floats(known.least, known.most, allow_nan=False).map(lambda number: number + 0.0)
    else:
        found = WORDS.filter(lambda text: not text.startswith("Negative prompt"))
    return found if known.unset is None else st.none() | found


def part_strategy(part: str) -> st.SearchStrategy[Any]:
    inner = {
        name.removeprefix(f"{part}."): values_of(known)
        for name, known in PARAMETERS.items()
        if name.startswith(f"{part}.")
    }
    if part == "init":
        return st.builds(StoredInit, image=st.just("a" * 64), mask=st.none() | st.just("b" * 64), **inner)
    return st.none() | st.builds(PARTS[part], **inner)


SPECS = st.builds(
    PictureSpec,
    **{name: values_of(known) for name, known in PARAMETERS.items() if "." not in name},
    variation=part_strategy("variation"),
    init=st.none() | part_strategy("init"),
    hires=part_strategy("hires"),
)


@settings(max_examples=150, deadline=None)
@given(SPECS)
def test_documents_and_records_tell_it_all(spec: PictureSpec) -> None:
    assert read_spec(json.loads(json.dumps(spec.as_json()))) == replace(spec, base=None)
    assert read_stored(write_stored(spec)) == spec


@settings(max_examples=300, deadline=None)
@given(SPECS)
def test_an_infotext_tells_it_all(spec: PictureSpec) -> None:
    hires = spec.hires
    if hires is not None and (hires.width is None) != (hires.height is None):
        hires = replace(hires, width=None, height=None)
    try:
        drawn = settle(replace(spec, init=None, hires=hires), FACTS)
    except UsageError:  # a second pass that is too large, or smaller than the first
        drawn = settle(replace(spec, init=None, hires=None), FACTS)
    text = write_infotext(drawn, "base", "ab" * 32, {})
    found = read_infotext(text)
    sampler = SAMPLERS[drawn.sampler]
    own = (found.sampler, found.schedule) == (sampler.infotext, sampler.curve if drawn.schedule == "Automatic" else "")
    assert found.sampler == sampler.infotext
    assert own or found.schedule == drawn.schedule
    if drawn.hires is not None and drawn.hires.width is not None:
        drawn = replace(drawn, hires=replace(drawn.hires, scale=Hires().scale))
    plain = replace(found, sampler=drawn.sampler, schedule=drawn.schedule)
    assert plain == replace(drawn, compat=None, base=None)
    assert write_infotext(settle(found, FACTS), "base", "ab" * 32, {}) == text


# Grids


@pytest.mark.parametrize("name", field_names())
def test_every_field_is_an_axis(name: str) -> None:
    known = PARAMETERS[name]
    text = {"integer": "64", "number": "1", "boolean": "yes", "text": "words"}.get(known.kind) or known.choices[-1]
    axis = read_axis(f"{name}={text}")
    assert len(axis) == 1
    (value,) = read_field(name, [text])
    spec = PictureSpec("a", init=StoredInit(image="a")) if name.startswith("init.") else PictureSpec("a")
    changed: Any = set_field(spec, name, value)
    for part in name.split("."):
        changed = getattr(changed, part)
    assert changed == value


def test_axes_are_called_as_forms_and_infotexts_call_them() -> None:
    assert other_names()["cfg scale"] == other_names()["guidance"] == "cfg"
    assert other_names()["schedule type"] == "schedule"
    assert read_axis("Variation seed strength=0.5").title == "variation strength"
    assert set(field_names()) == PARAMETERS.keys() - {"prompt", "base", "compat"}


def test_variations_differ_from_the_picture_itself() -> None:
    assert Variation().seed != PictureSpec("a").seed
