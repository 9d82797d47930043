"""lorasmith train --remote: what is written for SkyPilot and dstack, by their own schemas and by facts from them."""

from __future__ import annotations

import json
import os
import shlex
import stat
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lorasmith.cli.main import run
from lorasmith.cli.remote.task import PLACE, RUNS, task_name
from lorasmith.project import Project
from tests.projects import build_project

RECIPE = """
resolution = 64
bucket.step = 32
rank = 2
clip_skip = 1
epochs = 2
lr.text_encoder = 0
"""
_TEXT, _NUMBER, _TABLE, _LIST = (str,), (int, float), (dict,), (list,)
#: Keys and types of what is written here, as SkyPilot 0.14.1 checks them (sky/utils/schemas.py: task, resources,
#: storage; no other key is taken in any of the three).
SKY: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "task": {
        "name": _TEXT,
        "workdir": (str, dict),
        "num_nodes": (int,),
        "resources": _TABLE,
        "file_mounts": _TABLE,
        "setup": _TEXT,
        "run": _TEXT,
        "envs": _TABLE,
        "secrets": (dict, list),
        "volumes": _TABLE,
    },
    "resources": {
        "infra": _TEXT,
        "cpus": (str, int, float),
        "memory": (str, int, float),
        "accelerators": (str, dict, list),
        "use_spot": (bool,),
        "job_recovery": (str, dict),
        "disk_size": (str, int),
        "image_id": (str, dict),
        "max_hourly_cost": _NUMBER,
    },
    "job_recovery": {"strategy": _TEXT, "max_restarts_on_errors": (int,), "recover_on_exit_codes": (int, list)},
    "storage": {"name": _TEXT, "source": (str, list), "store": _TEXT, "persistent": (bool,), "mode": _TEXT},
}
#: The same of dstack 0.22.5 (_internal/core/models: configurations, profiles, resources, files, volumes).
DSTACK: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "task": {
        "type": _TEXT,
        "name": _TEXT,
        "image": _TEXT,
        "python": _TEXT,
        "env": (list, dict),
        "commands": _LIST,
        "files": _LIST,
        "volumes": _LIST,
        "resources": _TABLE,
        "spot_policy": _TEXT,
        "retry": (bool, dict),
        "max_duration": (str, int, bool),
        "max_price": _NUMBER,
        "nodes": (int,),
    },
    "file": {"local_path": _TEXT, "path": _TEXT},
    "volume": {"name": (str, list), "path": _TEXT},
    "resources": {
        "cpu": (str, int, dict),
        "memory": (str, int, float, dict),
        "disk": (str, int, dict),
        "gpu": (str, dict),
    },
    "gpu": {"name": (str, list), "count": (str, int, dict), "memory": (str, int, float, dict), "vendor": _TEXT},
    "retry": {"on_events": _LIST, "duration": (str, int)},
}
STORES, MODES = ("S3", "GCS", "AZURE", "R2"), ("MOUNT", "COPY", "MOUNT_CACHED")
EVENTS, POLICIES = ("no-capacity", "interruption", "error"), ("spot", "on-demand", "auto")


def check(document: Mapping[str, Any], facts: Mapping[str, tuple[type, ...]]) -> None:
    assert document
    for key, value in document.items():
        assert key in facts, key
        assert isinstance(value, facts[key]), (key, value)


def check_sky(document: Mapping[str, Any]) -> None:
    check(document, SKY["task"])
    check(document["resources"], SKY["resources"])
    check(document["resources"]["job_recovery"], SKY["job_recovery"])
    for place, source in document["file_mounts"].items():
        assert place.startswith("/")
        assert " " not in place, "SkyPilot makes folders there by an unquoted shell line"
        if isinstance(source, dict):
            check(source, SKY["storage"])
            assert source["store"].upper() in STORES
            assert source["mode"] in MODES
        else:
            assert Path(source).exists()


def check_dstack(document: Mapping[str, Any]) -> None:
    check(document, DSTACK["task"])
    assert document["type"] == "task"
    for each in document.get("files", ()):
        check(each, DSTACK["file"])
        assert Path(each["local_path"]).exists()
        assert each["path"].startswith("/")
    for each in document["volumes"]:
        check(each, DSTACK["volume"])
        assert each["path"].startswith("/")
    check(document["resources"], DSTACK["resources"])
    assert document["commands"]
    assert all(isinstance(line, str) for line in document["commands"])
    if "gpu" in document["resources"]:
        check(document["resources"]["gpu"], DSTACK["gpu"])
        check(document["retry"], DSTACK["retry"])
        assert set(document["retry"]["on_events"]) <= set(EVENTS)
        assert document["spot_policy"] in POLICIES


def by_sky_itself(document: Mapping[str, Any]) -> None:
    pytest.importorskip("sky", reason="SkyPilot is not installed")
    from jsonschema import validate
    from sky.utils import schemas

    validate(document, schemas.get_task_schema())
    validate(document["resources"], schemas.get_resources_schema())
    for source in document["file_mounts"].values():
        if isinstance(source, dict):
            validate(source, schemas.get_storage_schema())


def by_dstack_itself(document: Mapping[str, Any]) -> None:
    pytest.importorskip("dstack", reason="dstack is not installed")
    from dstack._internal.core.models.configurations import parse_run_configuration

    parse_run_configuration(dict(document))


@pytest.fixture
def project(tmp_path: Path, tiny_base_folder: Path) -> Project:
    return build_project(tmp_path / "my pictures" / "it's mine", RECIPE, base=str(tiny_base_folder))


def write(
    project: Project, capsys: pytest.CaptureFixture[str], *options: str, remote: str = "sky", gpu: str = "L4"
) -> dict[str, Any]:
    """The task's document, and what `--json` says, under "told"."""
    assert run(["train", str(project.root), "--remote", remote, "--gpu", gpu, "--json", *options]) == 0
    told = json.loads(capsys.readouterr().out)
    document: dict[str, Any] = yaml.safe_load(Path(told["files"][0]).read_text())
    return document | {"told": told}


def test_what_sky_is_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    document = write(project, capsys, "--set", "rank=4")
    told = document.pop("told")
    check_sky(document)
    assert document["resources"]["accelerators"] == "L4:1"
    assert document["resources"]["use_spot"]
    assert document["file_mounts"][RUNS]["mode"] == "MOUNT_CACHED"
    words = shlex.split(document["run"])
    assert words[0] == f"{PLACE}/python/bin/lorasmith"
    assert {"--resume", "rank=4", f"{RUNS}/{told['run']}"} <= set(words)
    text = Path(told["files"][0]).read_text()
    assert text.startswith(
        f"# Written by lorasmith train --remote. A managed job of SkyPilot.\n#\n# launch:  {told['launch']}"
    )
    bucket = document["file_mounts"][RUNS]["name"]
    assert told["fetch"] == [f"aws s3 sync s3://{bucket}/{told['run']} {shlex.quote(str(project.runs / told['run']))}"]
    again = write(project, capsys, "--set", "rank=4")
    assert again["told"] == told, "the same files and settings are the same run"
    other = write(project, capsys, "--store", "gs://ours", "--on-demand", gpu="a100-80gb:2")
    assert other["told"]["run"] != told["run"]
    assert other["told"]["fetch"][0].startswith("gcloud storage rsync --recursive gs://ours/")
    assert other["file_mounts"][RUNS] == {"name": "ours", "store": "gcs", "mode": "MOUNT_CACHED"}
    assert (other["resources"]["accelerators"], other["resources"]["use_spot"]) == ("A100-80GB:2", False)
    assert "torchrun --nproc-per-node=2" in other["run"]


def test_what_dstack_is_told(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    document = write(project, capsys, remote="dstack", gpu="A100")
    told = document.pop("told")
    check_dstack(document)
    assert document["resources"]["gpu"] == {"name": "A100", "count": 1, "memory": "40GB"}
    assert document["spot_policy"] == "spot"
    fetching = yaml.safe_load(Path(told["files"][1]).read_text())
    check_dstack(fetching)
    assert fetching["volumes"] == document["volumes"] == [{"name": "lorasmith-runs", "path": RUNS}]
    assert any(f"{fetching['name']}:{RUNS}/{told['run']}" in line for line in told["fetch"])
    assert len(fetching["name"]) <= 41


@pytest.mark.parametrize("options", [(), ("--on-demand",)])
def test_the_tools_own_schemas_agree(
    project: Project, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    sky, dstack = (write(project, capsys, *options, remote=remote) for remote in ("sky", "dstack"))
    fetching = yaml.safe_load(Path(dstack.pop("told")["files"][1]).read_text())
    del sky["told"]
    by_sky_itself(sky)
    by_dstack_itself(dstack)
    by_dstack_itself(fetching)


def test_the_task_trains_goes_on_and_comes_back(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = write(project, capsys)
    told = document.pop("told")
    there, runs = tmp_path / "machine", tmp_path / "bucket"
    (there / "project").mkdir(parents=True)
    with tarfile.open(told["package"]) as tar:
        tar.extractall(there / "project", filter="data")
    for place, source in document["file_mounts"].items():
        if isinstance(source, str) and Path(source).is_dir():
            link = Path(place.replace(PLACE, str(there)))
            link.parent.mkdir()
            link.symlink_to(source)
    line = document["run"].replace(RUNS, str(runs)).replace(PLACE, str(there))
    words = shlex.split(line)[1:]
    assert run([*words, "--json"]) == 0
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert done["run"] == str(runs / told["run"])
    assert run(words) == 0, "another machine finds it done"
    assert "is complete already" in capsys.readouterr().err
    project.runs.mkdir()
    (runs / told["run"]).rename(project.runs / told["run"])
    assert run(["train", str(project.root), "--resume", "--json"]) == 0
    here = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert Path(here["adapter"]).is_relative_to(project.runs)
    assert Path(here["adapter"]).is_file()


def test_no_secret_and_nothing_hidden_travels(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HF_TOKEN", "CIVITAI_TOKEN", "AWS_SECRET_ACCESS_KEY", "LORASMITH_TOKEN"):
        monkeypatch.setenv(name, "a-secret-of-mine")
    (project.root / ".env").write_text("KEY=a-secret-of-mine")
    (project.root / ".git").mkdir()
    (project.root / ".git" / "config").write_text("a-secret-of-mine")
    (project.runs / "old").mkdir(parents=True)
    (project.runs / "old" / "state").write_text("much")
    outside = project.root.parent / "private.png"
    outside.write_bytes(b"a-secret-of-mine")
    (project.root / "images" / "link.png").symlink_to(outside)
    for remote in ("sky", "dstack"):
        told = write(project, capsys, remote=remote)["told"]
        for file in (*told["files"], told["package"]):
            assert b"a-secret-of-mine" not in Path(file).read_bytes()
        with tarfile.open(told["package"]) as tar:
            names = tar.getnames()
        assert "lora.toml" in names
        assert "images/0.png" in names
        assert not [name for name in names if name.startswith(("runs", "build", ".git", ".env")) or "link" in name]


def test_a_wheel_and_what_lies_outside_are_sent(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = tmp_path / "lorasmith-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"PK")
    document = write(project, capsys, "--wheel", str(wheel))
    assert document["file_mounts"][f"{PLACE}/{wheel.name}"] == str(wheel)
    assert f"{PLACE}/{wheel.name}" in document["setup"]
    base = f"{PLACE}/base/tiny-sd1"
    assert base in document["file_mounts"]
    assert f'base="{base}"' in shlex.split(document["run"])


def test_a_project_without_a_recipe_starts_from_its_preset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = build_project(tmp_path / "p")
    file = project.root / "lora.toml"
    file.write_text(file.read_text().replace("[recipe]", ""))
    document = write(project, capsys)
    assert "--set" not in document["run"]
    assert list(document["file_mounts"]) == [f"{PLACE}/project.tar", RUNS]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (
            ["--remote", "sky", "--gpu", "L44"],
            2,
            'no GPU of that name is known. Did you mean "L4"? Known: T4, V100, L4',
        ),
        (["--remote", "sky", "--gpu", "L4:0"], 2, "a number from 1 to 16"),
        (["--remote", "sky"], 2, "--remote needs a GPU"),
        (["--remote", "ray", "--gpu", "L4"], 2, "ray: no such tool. Known: sky, dstack."),
        (["--remote", "sky", "--gpu", "L4", "--store", "my bucket"], 2, "not a bucket's address"),
        (["--remote", "dstack", "--gpu", "L4", "--store", "s3://x"], 2, "not a volume's name"),
        (["--remote", "sky", "--gpu", "L4", "--wheel", "x.whl"], 2, "not a wheel of lorasmith"),
        (["--remote", "sky", "--gpu", "L4", "--wheel", "lorasmith-9.whl"], 2, "no such file"),
        (["--remote", "sky", "--gpu", "L4", "--write", "task.txt"], 2, "ends in .yaml"),
        (["--remote", "sky", "--gpu", "L4", "--resume"], 2, "--resume does not go with --remote"),
        (["--remote", "sky", "--gpu", "L4", "--set", "rnak=4"], 4, "rnak"),
        (["--gpu", "L4"], 2, "--gpu goes with --remote"),
    ],
)
def test_what_is_wrong_is_said(
    project: Project, options: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["train", str(project.root), *options]) == code
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (project.root / "build").exists()


def test_a_file_of_somebody_else_stays(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "task.yaml"
    file.write_text("name: mine\n")
    assert run(["train", str(project.root), "--remote", "sky", "--gpu", "L4", "--write", str(file)]) == 11
    assert "no task that was written here" in capsys.readouterr().err
    assert file.read_text() == "name: mine\n"


def test_images_outside_of_the_project_do_not_travel(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.root / "images").rename(tmp_path / "elsewhere")
    file = project.root / "lora.toml"
    file.write_text(file.read_text() + f'\n[dataset]\nimages = "{tmp_path / "elsewhere"}"\n')
    assert run(["train", str(project.root), "--remote", "sky", "--gpu", "L4"]) == 3
    assert "lies outside of the project's folder" in " ".join(capsys.readouterr().err.split())


def test_images_behind_a_url_do_not_travel(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.root / "images").rename(tmp_path / "stored")
    file = project.root / "lora.toml"
    file.write_text(file.read_text() + f'\n[dataset]\nimages = "file://{tmp_path / "stored"}"\n')
    assert run(["train", str(project.root), "--remote", "sky", "--gpu", "L4"]) == 3
    told = " ".join(capsys.readouterr().err.split())
    assert "lies behind a URL, and does not travel with the project" in told
    assert f"lorasmith new FOLDER --images file://{tmp_path / 'stored'}" in told
    assert not list(project.root.rglob("*.tar"))


def test_a_card_that_is_too_small_is_warned_of(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", str(project.root), "--remote", "sky", "--gpu", "T4", "--set", "batch_size=100000"]) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "it takes more memory than T4 has (16 GB); it fits with --set" in told


def test_launching_calls_the_tool_or_says_how_to_get_it(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    call = ["train", str(project.root), "--remote", "sky", "--gpu", "L4", "--launch"]
    assert run(call) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert 'pip install "skypilot"' in told
    assert "sky jobs launch" in told
    fake = tools / "sky"
    fake.write_text(f'#!{"/bin/sh"}\necho "$@" > {shlex.quote(str(tmp_path / "called"))}\nexit 7\n')
    os.chmod(fake, os.stat(fake).st_mode | stat.S_IXUSR)
    assert run(call) == 7
    assert (tmp_path / "called").read_text().startswith("jobs launch ")


def test_names_are_what_clouds_take() -> None:
    assert task_name("Żółw & 猫") == "lorasmith-w"
    assert task_name("猫") == "lorasmith-run"
    assert task_name("a" * 80) == f"lorasmith-{'a' * 30}"
