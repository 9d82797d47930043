"""Train the judge: a classifier of every attribute group, exported as a tagger in the WD14 layout.

    python doodle/judge_train.py --minutes 20         # goes on from work/judge.pt
    python doodle/judge_train.py --export             # writes work/tagger/ with its error rates

It sees renders of base and held-out values, pictures through the VAE, noise and blur. One softmax a group, with a
"none" class for what is hidden or absent; exported are the probabilities of the tags.
"""

from __future__ import annotations

import argparse
import csv
import json

import numpy as np
import torch
import torch.nn.functional as F
from latents import encode
from processes import Clock, Crew, falling, save_state, spawn
from torch import nn
from vae_train import load_vae
from world import BASE_STYLES, GROUPS, SIDE, WORK, as_input, shard, tag, training_shards, vocabulary

STATE = WORK / "judge.pt"
VOCABULARY = vocabulary()
RATINGS = ("general", "sensitive", "questionable", "explicit")
RATE = 2e-3
BATCH = 64
#: Pictures of a shard that are also learned from after a trip through the VAE.
ROUND_TRIPS = 2000


def labels(seen: list[dict[str, str]]) -> np.ndarray:
    """Class index per group (n, groups); the last class of a group is "none"."""
    index = {group: {text: at for at, text in enumerate(words)} for group, words in VOCABULARY.items()}
    none = {group: len(words) for group, words in VOCABULARY.items()}
    return np.array(
        [[index[g][tag(g, entry[g])] if g in entry else none[g] for g in GROUPS] for entry in seen], np.int64
    )


def block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Judge(nn.Module):
    """Pictures (n, 3, 128, 128) in [-1, 1] to one block of logits a group, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes = [len(VOCABULARY[group]) + 1 for group in GROUPS]
        widths = [(3, 32, 2), (32, 48, 2), (48, 64, 1), (64, 96, 2), (96, 96, 1), (96, 128, 2), (128, 128, 1)]
        self.features = nn.Sequential(*(block(*width) for width in widths), block(128, 160, 2))
        self.head = nn.Sequential(
            nn.Flatten(), nn.Linear(160 * 16, 256), nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, sum(self.sizes))
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(pictures))

    def groups(self, logits: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return logits.split(self.sizes, dim=1)


def spoil(pictures: torch.Tensor) -> torch.Tensor:
    """Noise on a third of the pictures, blur on a fifth, small shifts and brightness on all."""
    count = len(pictures)
    noise = torch.rand(count, 1, 1, 1).mul(0.15) * (torch.rand(count, 1, 1, 1) < 0.33)
    pictures = pictures + noise * torch.randn_like(pictures)
    blurred = F.avg_pool2d(F.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, 1)
    pictures = torch.where(torch.rand(count, 1, 1, 1) < 0.2, blurred, pictures)
    pictures = pictures + 0.08 * (torch.rand(count, 3, 1, 1) - 0.5)
    dx, dy = (int(v) for v in torch.randint(-4, 5, (2,)))
    padded = F.pad(pictures, (4, 4, 4, 4), mode="replicate")
    return padded[..., 4 + dy : 4 + dy + SIDE, 4 + dx : 4 + dx + SIDE]


def through_vae(name: str, count: int) -> np.ndarray:
    """The first `count` pictures of a shard, encoded and decoded; kept in work/roundtrip/."""
    file = WORK / "roundtrip" / f"{name}.npy"
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        vae = load_vae().to(memory_format=torch.channels_last)
        latents = torch.from_numpy(encode(name, count)).float()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            out = [vae.decode(part).sample.float() for part in latents.split(32)]
        pixels = ((torch.cat(out).clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1)
        np.save(file, pixels.numpy())
    kept: np.ndarray = np.load(file, mmap_mode="r")
    return kept


def sources(crew: Crew) -> list[tuple[np.ndarray, np.ndarray]]:
    """(pictures, labels) of everything that the judge learns from; the processes share the round trips' work."""
    held_out = [f"{style}.held-out" for style in (*BASE_STYLES, "pixel-art")]
    passed = [*training_shards()[:4], *held_out]
    for name in passed[crew.rank :: crew.size]:
        through_vae(name, ROUND_TRIPS)
    crew.agree(False)
    shards = [shard(name) for name in (*training_shards()[:12], *held_out)]
    found = [(entry.pixels, labels(entry.seen)) for entry in shards]
    return found + [
        (through_vae(entry.name, ROUND_TRIPS), labels(entry.seen[:ROUND_TRIPS]))
        for entry in shards
        if entry.name in passed
    ]


def train(minutes: float) -> None:
    crew = Crew()
    torch.manual_seed(0)
    judge = Judge()
    optimizer = torch.optim.AdamW(judge.parameters(), lr=RATE, weight_decay=1e-2)
    step, spent = 0, 0.0
    if STATE.exists():
        state = torch.load(STATE, weights_only=True)
        judge.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step, spent = state["step"], state["minutes"]
    rng = np.random.default_rng(step + crew.rank)
    torch.manual_seed(step + crew.rank)
    data = sources(crew)
    clock = Clock(minutes, spent)
    recent: list[float] = []
    while True:
        fraction = clock.fraction
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / 50) * falling(fraction)
        places = [(source, rng.integers(len(data[source][1]))) for source in rng.integers(len(data), size=BATCH)]
        pictures = spoil(as_input(np.stack([data[a][0][b] for a, b in places])))
        wanted = torch.from_numpy(np.stack([data[a][1][b] for a, b in places]))
        with torch.autocast("cpu", torch.bfloat16):
            logits = judge(pictures).float()
        loss = torch.stack([F.cross_entropy(part, wanted[:, at]) for at, part in enumerate(judge.groups(logits))]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        recent.append(loss.item())
        if step % 10:
            continue
        crew.average([*judge.parameters(), *(b for b in judge.buffers() if b.is_floating_point())])
        stop = crew.agree(fraction >= 1)
        if crew.rank == 0 and step % 100 == 0:
            print(f"{step} {clock.minutes:.1f} min loss {np.mean(recent[-100:]):.4f}", flush=True)
        if crew.rank == 0 and (stop or clock.due()):
            save_state(
                STATE,
                {
                    "model": judge.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "step": step,
                    "minutes": clock.minutes,
                },
            )
        if stop:
            return


class Tagger(nn.Module):
    """The judge in the WD14 layout: NHWC float BGR 0..255 in, one probability a tag out (ratings first)."""

    def __init__(self, judge: Judge) -> None:
        super().__init__()
        self.judge = judge

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        inputs = pictures.flip(3).permute(0, 3, 1, 2) / 127.5 - 1
        parts = [part.softmax(1)[:, :-1] for part in self.judge.groups(self.judge(inputs))]
        rating = torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(inputs.shape[0], 4)
        return torch.cat([rating, *parts], 1)


@torch.no_grad()
def accuracy(judge: Judge, pictures: np.ndarray, wanted: np.ndarray) -> dict[str, object]:
    """Per group: the share of right answers, and recall per tag."""
    found = torch.cat(
        [
            torch.stack([part.argmax(1) for part in judge.groups(judge(as_input(pictures[at : at + 100])))], 1)
            for at in range(0, len(pictures), 100)
        ]
    ).numpy()
    table: dict[str, object] = {}
    for at, group in enumerate(GROUPS):
        recall = {}
        for index, text in enumerate(VOCABULARY[group]):
            rows = wanted[:, at] == index
            if rows.sum() >= 5:
                recall[text] = round(float((found[rows, at] == index).mean()), 4)
        table[group] = {"accuracy": round(float((found[:, at] == wanted[:, at]).mean()), 4), "recall": recall}
    return table


def export() -> None:
    """Write work/tagger/: model.onnx, selected_tags.csv, groups.json, report.json."""
    judge = Judge().eval()
    judge.load_state_dict(torch.load(STATE, weights_only=True)["model"])
    folder = WORK / "tagger"
    folder.mkdir(exist_ok=True)
    example = torch.zeros(1, SIDE, SIDE, 3)
    axes = {"input": {0: "N"}, "output": {0: "N"}}
    torch.onnx.export(
        Tagger(judge).eval(),
        (example,),
        folder / "model.onnx",
        input_names=["input"],
        output_names=["output"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    with (folder / "selected_tags.csv").open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["tag_id", "name", "category", "count"])
        rows.writerows([index, name, 9, 0] for index, name in enumerate(RATINGS))
        words = [text for group in GROUPS for text in VOCABULARY[group]]
        rows.writerows([index, text.replace(" ", "_"), 0, 0] for index, text in enumerate(words, len(RATINGS)))
    optional = ("hair", "hair colour", "eyes", "mouth", "accessory", "clothing")
    groups = {g: {"tags": VOCABULARY[g], "exclusive": True, "optional": g in optional} for g in GROUPS}
    (folder / "groups.json").write_text(json.dumps(groups, indent=1) + "\n")
    report = {}
    for style in (*BASE_STYLES, "pixel-art"):
        entry = shard(f"{style}.valid")
        wanted = labels(entry.seen)
        report[style] = {
            "renders": accuracy(judge, entry.pixels, wanted),
            "through the VAE": accuracy(judge, through_vae(f"{style}.valid", 1000), wanted),
        }
        for kind, table in report[style].items():
            print(style, kind, {group: row["accuracy"] for group, row in table.items()}, flush=True)
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=0)
    parser.add_argument("--export", action="store_true")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if options.export:
        export()
    elif not spawn(options.processes):
        train(options.minutes)
