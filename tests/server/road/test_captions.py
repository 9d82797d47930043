"""Captions by requests: what each rule does is tried before it is written, and every change has a way back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from lorasmith.cli.main import run
from lorasmith.dataset.reading import read_dataset
from lorasmith.errors import DatasetError, UsageError
from lorasmith.events import finish
from lorasmith.face.tagging import change_settings
from lorasmith.project import Project, open_project
from lorasmith.server.road.readings import Readings
from lorasmith.server.road.tasks import RoadTasks
from lorasmith.server.workshop import Workshop
from lorasmith.tags.endpoint import KEY_VARIABLE, caption_by_endpoint, caption_cost
from lorasmith.tags.settings import CaptionerTable, read_settings
from lorasmith.tags.store import read_sentences
from tests.server.road.test_projects import ended


class Mock:
    """An endpoint that says what it is told to; `asked` are the bodies that it got, `keys` their keys."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.statuses: list[int] = []
        self.sentence = "a girl with red hair smiles."
        mock = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                mock.asked.append(json.loads(body))
                mock.keys.append(self.headers.get("authorization", ""))
                status = mock.statuses.pop(0) if mock.statuses else 200
                answer = json.dumps({"choices": [{"message": {"content": mock.sentence}}]}).encode()
                self.send_response(status)
                self.send_header("retry-after", "0")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"


@pytest.fixture
def mock() -> Iterator[Mock]:
    made = Mock()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join(10)


def captions(client: httpx.Client) -> dict[str, str]:
    found: dict[str, str] = client.get("projects/zbk/captions").json()["captions"]
    return found


def test_captions_are_those_of_the_command(client: httpx.Client, project: Project, capsys: Any) -> None:
    document = client.get("projects/zbk/captions").json()
    assert run(["tag", str(project.root), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert document["captions"] == told["captions"]
    assert document["rules"] == told["rules"]
    assert run(["tag", str(project.root), "--explain", "0.png", "--json"]) == 0
    explained = client.get("projects/zbk/captions/explained?image=0.png").json()
    assert explained.items() >= json.loads(capsys.readouterr().out).items()
    assert run(["tag", str(project.root), "--table", "--json"]) == 0
    assert client.get("projects/zbk/tags").json().items() >= json.loads(capsys.readouterr().out).items()


def test_a_correction_and_its_way_back(client: httpx.Client, project: Project) -> None:
    first = project.file.read_bytes()
    body = {"images": ["0.png"], "add": ["wink"], "remove": ["smile"]}
    answer = client.post("projects/zbk/captions", json=body)
    assert (answer.status_code, answer.json()["undo"]) == (201, 1)
    assert "wink" in captions(client)["0.png"]
    assert "smile" not in captions(client)["0.png"]
    assert "smile" in captions(client)["1.png"]
    client.post("projects/zbk/captions", json={"images": ["0.png"], "add": ["smile"], "remove": ["wink"]})
    entry = read_settings(open_project(project.root)).images["0.png"]
    assert (entry.add, entry.remove) == (("smile",), ("wink",))
    second = project.file.read_bytes()
    assert client.post("projects/zbk/rules/undo").status_code == 200
    assert client.post("projects/zbk/rules/undo").json()["redo"] == 2
    assert project.file.read_bytes() == first
    client.post("projects/zbk/rules/redo")
    client.post("projects/zbk/rules/redo")
    assert project.file.read_bytes() == second
    assert client.post("projects/zbk/rules/redo").status_code == 422


def test_comments_beside_corrections_stay(client: httpx.Client, project: Project) -> None:
    text = '\n# of single images\n[tags.images]\n# the first one\n"0.png" = { add = ["hat"] }  # it has one\n'
    file = project.file
    file.write_text(file.read_text("utf-8") + text, "utf-8")
    for body in ({"images": ["1.png"], "add": ["wink"]}, {"images": ["0.png"], "add": ["scarf"]}):
        assert client.post("projects/zbk/captions", json=body).status_code == 201
    written = file.read_text("utf-8")
    for comment in ("# of single images", "# the first one", "# it has one"):
        assert comment in written
    images = read_settings(open_project(project.root)).images
    assert images["0.png"].add == ("hat", "scarf")
    assert images["1.png"].add == ("wink",)


def test_what_somebody_else_wrote_is_not_undone(client: httpx.Client, project: Project) -> None:
    client.post("projects/zbk/captions", json={"images": ["0.png"], "add": ["wink"]})
    project.file.write_text(project.file.read_text() + "# mine\n")
    answer = client.post("projects/zbk/rules/undo")
    assert answer.status_code == 422
    assert "something else" in answer.json()["error"]["message"]
    assert project.file.read_text().endswith("# mine\n")


def test_a_change_is_tried_before_it_is_written(client: httpx.Client, project: Project) -> None:
    before = project.file.read_bytes()
    change = {"set": {"aliases": {"smile": "grin"}}}
    tried = client.post("projects/zbk/rules/diff", json=change).json()
    assert (tried["changed"], tried["images"]) == (3, 3)
    assert "grin" in tried["changes"][0]["after"]
    assert project.file.read_bytes() == before
    assert client.patch("projects/zbk/rules", json=change).status_code == 200
    assert {each["image"]: each["after"] for each in tried["changes"]} == captions(client)
    assert client.patch("projects/zbk/rules", json={"set": {"aliases": None}}).status_code == 200
    assert project.file.read_bytes().rstrip() == before.rstrip()


def test_rules_are_switched_and_ordered(client: httpx.Client) -> None:
    rules = client.get("projects/zbk/rules").json()["rules"]
    assert all(rule["on"] for rule in rules)
    answer = client.patch("projects/zbk/rules", json={"set": {"off": ["trigger"]}}).json()
    assert [rule["name"] for rule in answer["rules"]] == [rule["name"] for rule in rules]
    assert [rule["name"] for rule in answer["rules"] if not rule["on"]] == ["trigger"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"of": []}, "unknown key"),
        ({"off": ["trigge"]}, "no such rule"),
        ({"threshold": 2}, "threshold"),
        ({"faithful": "very"}, "faithful"),
    ],
)
def test_wrong_settings_are_not_written(
    client: httpx.Client, project: Project, change: dict[str, Any], words: str
) -> None:
    before = project.file.read_bytes()
    for send in (client.patch, lambda path, json: client.post(f"{path}/diff", json=json)):
        answer = send("projects/zbk/rules", json={"set": change})
        assert answer.status_code == 422, answer.text
        assert words in json.dumps(answer.json()["error"])
    assert project.file.read_bytes() == before
    assert captions(client)


def test_a_captioner_at_no_web_address_is_not_written(client: httpx.Client, project: Project) -> None:
    before = project.file.read_bytes()
    answer = client.patch("projects/zbk/rules", json={"set": {"captioner": {"url": "ftp://nowhere"}}})
    assert answer.status_code == 422
    assert "not a web address" in answer.json()["error"]["message"]
    assert project.file.read_bytes() == before
    assert client.get("projects/zbk/captioner").status_code == 200


def test_a_tag_that_stands_twice_is_told_once_where_tags_contradict(client: httpx.Client, project: Project) -> None:
    caption = next((project.root / "images").rglob("*.txt"))
    caption.write_text("zbk, closed eyes, closed eyes, open eyes", "utf-8")
    told = client.get("projects/zbk/tags").json()["contradictions"]
    assert ["closed eyes", "open eyes"] in [each["tags"] for each in told]


def test_tags_are_completed_and_found(client: httpx.Client) -> None:
    found = client.get("projects/zbk/tags/complete?text=sm").json()["tags"]
    assert found[0] == {"tag": "smile", "images": 3}
    assert client.get("projects/zbk/tags/images?tag=red hair").json()["raw"] == ["0.png"]


def test_an_endpoint_writes_sentences(project: Project, mock: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "a-key")
    dataset = finish(read_dataset(project))
    table = CaptionerTable(url=mock.url, model="seer", prompt="Say it.", concurrency=2)
    cost = caption_cost(project, dataset, table)
    assert (cost.images, cost.is_local, cost.bytes > 0) == (3, True, True)
    mock.statuses = [503]
    assert finish(caption_by_endpoint(project, dataset, table)) == 3
    assert len(mock.asked) == 4, "a busy endpoint is asked again"
    assert set(mock.keys) == {"Bearer a-key"}
    content = mock.asked[0]["messages"][0]["content"]
    assert (mock.asked[0]["model"], content[0]["text"]) == ("seer", "Say it.")
    assert content[1]["image_url"]["url"].startswith("data:image/jpeg;base64,")
    assert set(read_sentences(project).values()) == {mock.sentence}
    assert finish(caption_by_endpoint(project, dataset, table)) == 0, "nothing is asked twice"
    assert caption_cost(project, dataset, table).images == 0


def test_an_endpoint_goes_on_where_it_was(project: Project, mock: Mock) -> None:
    dataset = finish(read_dataset(project))
    table = CaptionerTable(url=mock.url, concurrency=1)
    work = caption_by_endpoint(project, dataset, table)
    next(work)
    work.close()
    assert len(read_sentences(project)) == 1
    done = len(mock.asked)
    assert finish(caption_by_endpoint(project, dataset, table)) == 2
    assert len(mock.asked) <= done + 2


def test_pictures_do_not_leave_without_a_yes(project: Project) -> None:
    dataset = finish(read_dataset(project))
    with pytest.raises(UsageError, match=r"3 pictures.*would leave this machine for example"):
        finish(caption_by_endpoint(project, dataset, CaptionerTable(url="https://example.invalid/v1")))


def test_an_endpoint_that_is_closed_or_mute(project: Project, mock: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = finish(read_dataset(project))
    mock.statuses = [401] * 9
    with pytest.raises(UsageError, match="does not let us in"):
        finish(caption_by_endpoint(project, dataset, CaptionerTable(url=mock.url)))
    mock.statuses, mock.sentence = [], ""
    with pytest.raises(DatasetError, match="it said nothing"):
        finish(caption_by_endpoint(project, dataset, CaptionerTable(url=mock.url)))
    monkeypatch.setattr("lorasmith.tags.endpoint.time.sleep", lambda _: None)
    with pytest.raises(UsageError, match=r"localhost:9/v1 cannot be reached \(.*Start it, or look at its address"):
        finish(caption_by_endpoint(project, dataset, CaptionerTable(url="http://localhost:9/v1", concurrency=1)))
    with pytest.raises(UsageError, match="not a web address"):
        caption_cost(project, dataset, CaptionerTable(url="ftp://x"))


def test_the_captioner_in_the_page_and_by_the_command(
    client: httpx.Client, project: Project, mock: Mock, capsys: Any
) -> None:
    assert client.post("projects/zbk/captions/gather", json={"captioner": True}).status_code == 422
    client.patch("projects/zbk/rules", json={"set": {"captioner": {"url": mock.url}}})
    assert client.get("projects/zbk/captioner").json()["cost"]["images"] == 3
    task = ended(client, client.post("projects/zbk/captions/gather", json={"captioner": True}).json())
    assert (task["state"], task["result"]["captioned"]) == ("done", 3), task
    assert mock.sentence.rstrip(".") in captions(client)["0.png"]
    assert run(["tag", str(project.root), "--captioner", mock.url]) == 0
    assert "0 images to caption" in capsys.readouterr().out


def test_what_changes_while_it_is_read_is_read_again(project: Project) -> None:
    workshop, readings = Workshop(project.root.parent), Readings(RoadTasks())
    before = workshop.open

    def change_meanwhile(name: str) -> Project:
        opened = before(name)
        change_settings(opened, {"undesired": ["smile"]})
        return opened

    workshop.open = change_meanwhile  # type: ignore[method-assign]
    readings.of(workshop, "zbk")
    workshop.open = before  # type: ignore[method-assign]
    assert readings.of(workshop, "zbk").inputs.settings.undesired == ("smile",)
