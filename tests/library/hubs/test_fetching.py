"""A model from a hub into a folder, against the mock."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from lorasmith.errors import AdapterError, HubError, LorasmithError, RefusedError, StorageError, UsageError
from lorasmith.events import Note, finish
from lorasmith.library.hubs.fetching import Fetched, fetch, open_hub
from lorasmith.library.hubs.references import read_reference
from tests.library.hubs.mock import COMMIT, HUBS_HOST, OLDER_COMMIT, STORE_HOST, TOKEN, Hubs, adapter_bytes
from tests.refusal_words import refused_words

MEGABYTE = 1 << 20


def get(text: str, into: Path, name: str = "", mature: bool = False, notes: list[str] | None = None) -> Fetched:
    reference = read_reference(text)
    told: list[str] = [] if notes is None else notes
    with open_hub(reference) as hub:
        work = fetch(hub, reference, into, name=name, mature=mature)
        return finish(work, lambda event: told.append(event.message) if isinstance(event, Note) else None)


def fill(hubs: Hubs, size: int = 0) -> bytes:
    """A model with two versions and a repository; gives the newer version's bytes."""
    data = adapter_bytes(1, pad=size)
    hubs.add_model(
        12,
        "Teal hair",
        hubs.version(34, data, "teal.safetensors"),
        hubs.version(33, adapter_bytes(2), "old.safetensors"),
    )
    picture = hubs.files[next(digest for digest, kept in hubs.files.items() if kept[:2] == b"\xff\xd8")]
    hubs.add_repository(
        "maker/teal-lora",
        {"pytorch_lora_weights.safetensors": adapter_bytes(3), "images/0.jpg": picture, "README.md": b"---\n---\n"},
    )
    return data


@pytest.mark.parametrize(
    "name",
    [
        "civitai:12",
        "civitai:12@34",
        "https://civitai.com/models/12/teal-hair?modelVersionId=34",
        "https://civitai.red/models/12",
        "urn:air:sd1:lora:civitai:12@34",
        "https://civitai.com/api/download/models/34?type=Model&token=hidden-secret",
        "SHA256",
        "AutoV3",
        "payload",
    ],
)
def test_civitai_by_every_kind_of_name(hubs: Hubs, tmp_path: Path, name: str) -> None:
    data = fill(hubs)
    hashes = hubs.models[12]["modelVersions"][0]["files"][0]["hashes"]
    payload = hashlib.sha256(data[8 + int.from_bytes(data[:8], "little") :]).hexdigest()
    got = get({**hashes, "payload": payload}.get(name, name), tmp_path / "loras")
    assert got.path == tmp_path / "loras" / "teal.safetensors"
    assert got.path.read_bytes() == data
    assert got.sha256 == hashlib.sha256(data).hexdigest()
    assert not got.was_there
    assert sorted(file.name for file in got.path.parent.iterdir()) == [
        "teal.civitai.info",
        "teal.json",
        "teal.preview.png",
        "teal.safetensors",
    ]
    shown = json.loads(got.path.with_name("teal.json").read_text())
    assert shown["activation text"] == "trg34"
    assert shown["sd version"] == "SD 1.5"
    kept = json.loads(got.path.with_name("teal.civitai.info").read_text())
    assert (kept["id"], kept["modelId"], kept["model"]["name"]) == (34, 12, "Teal hair")
    assert (got.facts.source, got.facts.model_id, got.facts.version_id) == ("civitai", "12", "34")
    assert "hidden-secret" not in repr(got)
    assert not any("hidden-secret" in f"{one.query}{one.token}" for one in hubs.log)


@pytest.mark.parametrize(
    ("name", "commit"),
    [
        ("hf:maker/teal-lora", COMMIT),
        (f"hf:maker/teal-lora@{OLDER_COMMIT}", OLDER_COMMIT),
        ("https://huggingface.co/maker/teal-lora/tree/main", COMMIT),
        ("huggingface.co/maker/teal-lora/blob/main/pytorch_lora_weights.safetensors", COMMIT),
    ],
)
def test_hugging_face_by_name_revision_and_address(hubs: Hubs, tmp_path: Path, name: str, commit: str) -> None:
    fill(hubs)
    got = get(name, tmp_path)
    assert got.path.name == "teal-lora.safetensors"  # not what everybody's file is called
    assert got.path.read_bytes() == adapter_bytes(3)
    assert got.preview is not None
    assert got.version.version_id == commit
    assert got.version.triggers == ("hfword",)
    assert json.loads(got.path.with_suffix(".json").read_text())["activation text"] == "hfword"
    assert hubs.seen(f"/resolve/{commit}/", HUBS_HOST)


def test_the_token_is_shown_to_the_hub_and_to_nobody_it_leads_to(
    hubs: Hubs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(hubs)
    monkeypatch.setenv("CIVITAI_TOKEN", TOKEN)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    get("civitai:12", tmp_path)
    get("hf:maker/teal-lora", tmp_path)
    asked = hubs.seen("/api/|/resolve/", HUBS_HOST)
    assert len(asked) >= 4
    assert all(one.token == f"Bearer {TOKEN}" for one in asked)
    stored = hubs.seen("^/store/", STORE_HOST)
    assert len(stored) >= 3  # two files and a picture
    assert [one.token for one in stored] == [""] * len(stored)
    assert not any(TOKEN in f"{one.path}?{one.query}" for one in hubs.log)


def test_a_redirect_back_home_does_not_bring_the_token_back(
    hubs: Hubs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's redirect must not make the hub see requests in the user's name."""
    fill(hubs)
    monkeypatch.setenv("CIVITAI_TOKEN", TOKEN)
    elsewhere = f"http://{STORE_HOST}:{hubs.port}/elsewhere"
    hubs.fail("/api/download/", 307, location=elsewhere)
    hubs.fail("/elsewhere", 307, location=f"{hubs.address}/api/v1/models/12")
    with pytest.raises(HubError, match="not what the hub names"):
        get("civitai:12", tmp_path, name="other")
    back = hubs.seen("/api/v1/models/12$", HUBS_HOST)[-1]
    assert back.token == ""
    assert not list(tmp_path.glob("*other*"))


def test_a_broken_connection_is_gone_on_with(hubs: Hubs, tmp_path: Path) -> None:
    data = fill(hubs, 2 * MEGABYTE)
    hubs.cut_after, hubs.cuts = 300_000, 3
    notes: list[str] = []
    got = get("civitai:12", tmp_path, notes=notes)
    assert got.path.read_bytes() == data
    ranges = [one.headers.get("range", "") for one in hubs.seen("^/store/")]
    resumed = [text for text in ranges if text]
    assert len(resumed) == 3
    starts = [int(text.removeprefix("bytes=").removesuffix("-")) for text in resumed]
    assert starts == sorted(starts)
    assert starts[0] > 0
    assert sum("broke" in note for note in notes) == 3


def test_a_store_without_ranges_starts_over(hubs: Hubs, tmp_path: Path) -> None:
    data = fill(hubs, MEGABYTE)
    hubs.cut_after, hubs.cuts, hubs.no_ranges = 300_000, 1, True
    assert get("civitai:12", tmp_path).path.read_bytes() == data


def test_what_has_come_is_kept_for_the_next_time(hubs: Hubs, tmp_path: Path) -> None:
    data = fill(hubs, MEGABYTE)
    hubs.cut_after, hubs.cuts = 300_000, 1
    hubs.fail("^/store/", 502, skip=1)
    with pytest.raises(HubError):
        get("civitai:12", tmp_path)
    parts = list(tmp_path.glob(".teal.safetensors.*.part"))
    assert len(parts) == 1
    there = parts[0].stat().st_size
    assert 0 < there < len(data)
    hubs.log.clear()
    assert get("civitai:12", tmp_path).path.read_bytes() == data
    assert hubs.seen("^/store/")[0].headers["range"] == f"bytes={there}-"
    assert not list(tmp_path.glob(".teal*"))


def test_another_files_bytes_are_refused_and_nothing_is_left(hubs: Hubs, tmp_path: Path) -> None:
    fill(hubs, MEGABYTE)
    hubs.wrong = True
    with pytest.raises(HubError, match="not what the hub names"):
        get("civitai:12", tmp_path / "loras")
    assert list((tmp_path / "loras").iterdir()) == []


def test_what_is_there_is_not_fetched_again_and_what_is_another_stays(hubs: Hubs, tmp_path: Path) -> None:
    data = fill(hubs)
    get("civitai:12", tmp_path)
    hubs.log.clear()
    again = get("civitai:12", tmp_path)
    assert again.was_there
    assert again.path.read_bytes() == data
    assert hubs.seen("/api/download/") == []
    (tmp_path / "old.safetensors").write_bytes(b"mine")
    with pytest.raises(StorageError, match="another file"):
        get("civitai:12@33", tmp_path)
    assert (tmp_path / "old.safetensors").read_bytes() == b"mine"
    assert get("civitai:12@33", tmp_path, name="older").path.name == "older.safetensors"


REFUSALS: list[tuple[dict[str, Any], dict[str, Any], int, str, str]] = [
    ({"requireLogin": True}, {}, 401, "logged in", "CIVITAI_TOKEN"),
    ({"paidAccess": {"permanent": False, "endsAt": "2026-12-24T00:00:00Z"}}, {}, 403, "until 2026-12-24", "later"),
    ({}, {"mode": "Archived"}, 410, "archive", "another version"),
    ({}, {"mode": "TakenDown"}, 410, "taken down", "another version"),
]


@pytest.mark.parametrize(("version", "model", "status", "words", "hint"), REFUSALS)
def test_refusals_in_plain_words(
    hubs: Hubs, tmp_path: Path, version: dict[str, Any], model: dict[str, Any], status: int, words: str, hint: str
) -> None:
    hubs.add_model(5, "Guarded", hubs.version(50, adapter_bytes(5), **version), **model)
    with pytest.raises(HubError) as refused:
        get("civitai:5@50", tmp_path / "loras")
    assert refused.value.status == status
    assert words in str(refused.value)
    assert hint in str(refused.value)
    assert not (tmp_path / "loras").exists() or list((tmp_path / "loras").iterdir()) == []


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "logged in"), (403, "does not give"), (404, "no such model"), (410, "archive"), (500, "answers 500")],
)
@pytest.mark.parametrize("where", ["/api/v1/model-versions/34", "/api/download/models/34"])
def test_a_status_anywhere_is_told(hubs: Hubs, tmp_path: Path, where: str, status: int, words: str) -> None:
    fill(hubs)
    hubs.fail(where, status)
    with pytest.raises(HubError, match=words):
        get("civitai:12@34", tmp_path)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_hub_is_waited_for_as_long_as_it_asks(hubs: Hubs, tmp_path: Path, status: int) -> None:
    fill(hubs)
    hubs.fail("/api/download/", status, 2, retry_after="1")
    assert get("civitai:12@34", tmp_path).path.is_file()
    times = [one.at for one in hubs.seen("/api/download/")]
    assert len(times) == 3
    assert all(later - sooner >= 0.99 for sooner, later in pairwise(times))


def test_a_hub_that_asks_for_too_much_patience_is_left(hubs: Hubs, tmp_path: Path) -> None:
    fill(hubs)
    hubs.fail("/api/v1/", 429, 9, retry_after="3600")
    with pytest.raises(HubError, match=r"too many requests \(429\).*in 60 min"):
        get("civitai:12@34", tmp_path)
    assert len(hubs.log) == 1


def test_hugging_faces_refusals(hubs: Hubs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(hubs)
    hubs.add_repository("maker/gated", {"a.safetensors": adapter_bytes(7)}, gated="auto")
    hubs.add_repository("maker/private", {"a.safetensors": adapter_bytes(8)}, private=True)
    hubs.add_repository("maker/two", {"a.safetensors": adapter_bytes(8), "b.safetensors": adapter_bytes(9)})
    hubs.add_repository("maker/mature", {"a.safetensors": adapter_bytes(8)}, tags=["lora", "not-for-all-audiences"])
    expected = [
        ("hf:maker/gated", HubError, "accept terms"),
        ("hf:maker/private", HubError, "private"),
        ("hf:maker/nothing", HubError, "no such repository"),
        ("hf:maker/teal-lora@nowhere", HubError, "no such revision"),
        ("hf:maker/two", UsageError, "Say which: hf:maker/two/a.safetensors"),
        ("hf:maker/two/c.safetensors", UsageError, "no such file"),
        ("hf:maker/mature", UsageError, "mature"),
    ]
    for name, kind, words in expected:
        with pytest.raises(kind, match=words):
            get(name, tmp_path)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert get("hf:maker/private", tmp_path).path.name == "a.safetensors"
    assert get("hf:maker/two/b.safetensors", tmp_path).path.read_bytes() == adapter_bytes(9)
    assert get("hf:maker/mature", tmp_path, name="m", mature=True).path.is_file()


def test_pickles_are_not_fetched(hubs: Hubs, tmp_path: Path) -> None:
    hubs.add_model(6, "Old style", hubs.version(60, adapter_bytes(6), "old.pt"))
    with pytest.raises(AdapterError, match="pickled"):
        get("civitai:6", tmp_path)
    assert hubs.seen("/api/download/") == []


def test_a_pickle_under_a_safe_name_is_not_kept(hubs: Hubs, tmp_path: Path) -> None:
    version = hubs.version(61, adapter_bytes(6), "fine.safetensors")
    pickle = b"\x80\x02}q\x00." + bytes(1000)
    version["files"][0]["hashes"] = {"SHA256": hubs.keep(pickle).upper()}
    hubs.add_model(6, "Old style", version)
    with pytest.raises(AdapterError, match="pickled"):
        get("civitai:6", tmp_path / "loras")
    assert list((tmp_path / "loras").iterdir()) == []


@pytest.mark.parametrize("where", ["name", "trigger", "tags", "header"])
def test_the_refusal_list_holds(hubs: Hubs, tmp_path: Path, where: str) -> None:
    minor, sexual = refused_words()
    words = f"{sexual} {minor}"
    tags = json.dumps({"1_x": {minor: 3, sexual: 2}}) if where == "header" else "{}"
    data = adapter_bytes(6, metadata={"ss_tag_frequency": tags})
    version = hubs.version(62, data, trainedWords=[words] if where == "trigger" else [])
    more = {"tags": [sexual, minor]} if where == "tags" else {}
    hubs.add_model(6, words if where == "name" else "harmless", version, **more)
    with pytest.raises(RefusedError):
        get("civitai:6", tmp_path / "loras", mature=True)
    assert not list(tmp_path.rglob("*.safetensors*"))


def test_mature_is_for_those_who_ask(hubs: Hubs, tmp_path: Path) -> None:
    version = hubs.version(63, adapter_bytes(6))
    version["images"][0]["nsfwLevel"] = 8
    hubs.add_model(6, "Grown up", version, nsfw=True)
    hubs.add_model(7, "For all", {**hubs.version(70, adapter_bytes(7)), "images": version["images"]})
    with pytest.raises(UsageError, match="mature"):
        get("civitai:6", tmp_path)
    assert get("civitai:6", tmp_path, mature=True).preview is not None
    assert get("civitai:7", tmp_path).preview is None  # its only picture is not for all


def test_names_from_a_hub_stay_in_the_folder(hubs: Hubs, tmp_path: Path) -> None:
    hubs.add_model(6, "Odd", hubs.version(64, adapter_bytes(6), "../../..\\evil:name?.safetensors"))
    got = get("civitai:6", tmp_path / "loras")
    assert got.path.parent == tmp_path / "loras"
    assert got.path.name == "evil_name.safetensors"


def test_a_page_to_log_in_instead_of_a_file_is_understood(hubs: Hubs, tmp_path: Path) -> None:
    fill(hubs)
    hubs.fail("/api/download/", 307, location=f"{hubs.address}/login")
    with pytest.raises(HubError, match="logged in"):
        get("civitai:12", tmp_path)


def test_nobody_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LORASMITH_CIVITAI_URL", "http://127.0.0.1:9")
    with pytest.raises(LorasmithError, match="cannot be reached"):
        get("civitai:12", tmp_path)
