"""The Dockerfile: built where docker answers; read by rules of our own everywhere."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSTRUCTION = re.compile(
    "ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|RUN|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR"
)
TARGETS = ("cpu", "cuda")
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY|CREDENTIAL", re.IGNORECASE)


@dataclass
class Stage:
    """A stage: what it is from, and its instructions in order."""

    name: str
    source: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def of(self, word: str) -> list[str]:
        return [rest for each, rest in self.instructions if each == word]


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Each instruction with its arguments; lines that go on are one."""
    lines = (line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines))
    for line in whole.splitlines():
        word, _, rest = line.partition(" ")
        yield word, rest.strip()


def stages(text: str) -> dict[str, Stage]:
    """The stages by name. Arguments before the first one are put into the images' names."""
    found: dict[str, Stage] = {}
    arguments: dict[str, str] = {}
    current: Stage | None = None
    for word, rest in instructions(text):
        assert INSTRUCTION.fullmatch(word), word
        if word == "FROM":
            matched = re.fullmatch(r"(\S+) AS ([a-z]+)", rest)
            assert matched, f"a stage has a name: FROM {rest}"
            source = re.sub(r"\$\{(\w+)\}", lambda name: arguments[name[1]], matched[1])
            current = found[matched[2]] = Stage(matched[2], source)
        elif current is None:
            assert word == "ARG", f"{word} before the first FROM"
            name, sign, value = rest.partition("=")
            assert sign, f"ARG {name} has no value"
            arguments[name] = value
        else:
            current.instructions.append((word, rest))
    return found


STAGES = stages((ROOT / "Dockerfile").read_text("utf-8"))


def line_of(name: str) -> list[Stage]:
    """A stage and those that it is from, the first one first."""
    stage = STAGES[name]
    return [*(line_of(stage.source) if stage.source in STAGES else ()), stage]


def goes_to_the_builder(path: str) -> bool:
    """Whether .dockerignore lets a path through (its last line that matches says so)."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        bare = pattern.removeprefix("!").removeprefix("**/")
        parts = [path, *(str(parent) for parent in Path(path).parents)]
        if any(fnmatchcase(part, bare) or fnmatchcase(Path(part).name, bare) for part in parts if part != "."):
            sent = pattern.startswith("!")
    return sent


def test_stages_are_read() -> None:
    assert list(STAGES) == ["wheel", "common", "cpu", "cuda"]
    assert [stage.name for stage in line_of("cpu")] == ["common", "cpu"]
    read = stages("ARG V=1\nFROM a:${V} AS b\nRUN one \\\n    && two\n")
    assert read["b"] == Stage("b", "a:1", [("RUN", "one && two")])
    with pytest.raises(AssertionError, match="RUNN"):
        stages("FROM a:1 AS b\nRUNN x")


def test_images_have_versions() -> None:
    outside = {stage.source for stage in STAGES.values()} - STAGES.keys()
    assert outside
    for image in outside:
        name, _, tag = image.rpartition(":")
        assert name, f"{image} has no tag"
        assert re.match(r"\d+\.\d+\.\d+", tag), f"{image}: not a whole version"
        assert "/" not in name, "an image of docker's own library"


def test_what_is_copied_is_there() -> None:
    copied = 0
    for stage in STAGES.values():
        for rest in stage.of("COPY"):
            *sources, _ = [word for word in rest.split() if not word.startswith("--")]
            if other := re.search(r"--from=(\S+)", rest):
                assert other[1] in STAGES
                continue
            for source in sources:
                assert (ROOT / source).exists(), source
                assert goes_to_the_builder(source), f"{source} is held back by .dockerignore"
                copied += 1
        assert not stage.of("ADD")
    assert copied >= 6


def test_nothing_else_goes_to_the_builder() -> None:
    rendered = "/".join(("doodle", "work", "x"))
    for path in (".git/config", ".env", rendered, "my-lora/images/a.png", "src/lorasmith/__pycache__/a.pyc"):
        assert not goes_to_the_builder(path), path
    assert goes_to_the_builder("src/lorasmith/__init__.py")


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_is_what_it_should_be(target: str) -> None:
    whole = [each for stage in line_of(target) for each in stage.instructions]
    words = [word for word, _ in whole]
    users = [rest for word, rest in whole if word == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    assert words[-1] == "USER", "nothing is installed after it"
    assert any("/health" in rest for word, rest in whole if word == "HEALTHCHECK")
    volumes = [json.loads(rest) for word, rest in whole if word == "VOLUME"]
    assert volumes == [["/data", "/projects"]]
    home = next(rest for word, rest in whole if word == "ENV" and "LORASMITH_HOME" in rest)
    assert "LORASMITH_HOME=/data/" in home
    assert [json.loads(rest) for word, rest in whole if word == "ENTRYPOINT"] == [["lorasmith"]]
    assert [rest for word, rest in whole if word == "EXPOSE"] == [str(_default_port())]


def _default_port() -> int:
    from lorasmith.cli.commands.serve import DEFAULT_PORT

    return DEFAULT_PORT


def test_no_secret_is_asked_for_or_kept() -> None:
    for stage in STAGES.values():
        for rest in (*stage.of("ARG"), *stage.of("ENV")):
            assert not SECRET.search(rest), rest


def test_extras_are_those_of_the_wheel() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    asked = [
        each for stage in STAGES.values() for rest in stage.of("RUN") for each in re.findall(r"whl\)\[(.+?)\]", rest)
    ]
    assert len(asked) == len(TARGETS)
    for extras in asked:
        assert set(extras.split(",")) <= known.keys()
        assert "server" in extras


def test_shell_lines_are_shell() -> None:
    lines = [rest for stage in STAGES.values() for rest in stage.of("RUN")]
    assert len(lines) >= 4
    for line in lines:
        checked = subprocess.run(["sh", "-n", "-c", line], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr


def test_the_wheel_needs_no_more_than_is_copied(tmp_path: Path) -> None:
    """Its metadata is made of the copied files alone."""
    for rest in STAGES["wheel"].of("COPY"):
        *sources, _ = rest.split()
        for source in sources:
            if (ROOT / source).is_file():
                shutil.copy(ROOT / source, tmp_path / source)
    (tmp_path / "src" / "lorasmith").mkdir(parents=True)
    (tmp_path / "src" / "lorasmith" / "__init__.py").touch()
    make = "import setuptools.build_meta as make; print(make.prepare_metadata_for_build_wheel('out'))"
    (tmp_path / "out").mkdir()
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", make], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr[-2000:]
    metadata = next((tmp_path / "out").glob("lorasmith-*.dist-info")) / "METADATA"
    text = metadata.read_text("utf-8")
    for extra in ("server", "formats", "vision", "optim"):
        assert f"Provides-Extra: {extra}\n" in text
    assert "License-File: NOTICE\n" in text


class _Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


def test_the_health_check_asks_a_server_and_nobody_else(tmp_path: Path) -> None:
    rest = STAGES["common"].of("HEALTHCHECK")[0]
    code = json.loads(rest[rest.index("CMD ") + 4 :])[2]
    words = tmp_path / "cmdline"
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Healthy)
    port = server.server_address[1]
    code = code.replace("/proc/1/cmdline", str(words)).replace("7860", str(port))

    def healthy(*called: str) -> bool:
        words.write_bytes(b"\0".join(word.encode() for word in called) + b"\0")
        return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0

    threading.Thread(target=server.serve_forever, daemon=True).start()
    assert healthy("python", "lorasmith", "serve", "--host", "0.0.0.0")
    server.shutdown()
    server.server_close()
    assert not healthy("python", "lorasmith", "serve")
    assert healthy("python", "lorasmith", "train", "my-lora")


def docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=20).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@pytest.mark.skipif(not docker_answers(), reason="no docker answers here")
def test_the_image_is_built_and_runs() -> None:
    built = subprocess.run(
        ["docker", "build", "--target", "cpu", "-t", "lorasmith:test", "."], cwd=ROOT, capture_output=True, check=False
    )
    assert built.returncode == 0, built.stderr[-3000:]
    told = subprocess.run(["docker", "run", "--rm", "lorasmith:test", "--version"], capture_output=True, check=True)
    assert told.stdout.startswith(b"lorasmith ")
