"""A library of 6,300 adapters, and one of 100,000: scanning, searching, listing; beside A1111's way to start.

    python -m benchmarks library [--quick]

The files have headers of true size (SD 1, SDXL and Flux; LoRA, LoCon, LoHa, LoKr, DoRA; ranks 4 to 128; kohya's, PEFT's
and ComfyUI's names; metadata of sd-scripts with 20 to 1,500 tags each, its own in every file) and payloads that take no
place on the disk. A1111's way is ours to its description: at each start it opens every file, reads the whole header as
JSON, decodes what in the metadata looks like a table, and hashes the payloads that record no hash. That hashing is
measured apart, on files with real bytes. Both read from the system's cache; times are of the processor, for the machine
may be busy. The search is timed warm, each question five times, the median of a question counts, and the slowest
question.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import resource
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

from benchmarks.timing import machine, ratio_line
from lorasmith.bases.families import FAMILIES
from lorasmith.events import finish
from lorasmith.library.entry import Filters
from lorasmith.library.index import LibraryIndex
from lorasmith.library.rows import Told, write_told
from lorasmith.library.sidecars.sidecar import SidecarFacts
from lorasmith.library.telling import Head
from lorasmith.library.walking import Found

Shapes = dict[str, tuple[int, ...]]
RANKS = (4, 8, 16, 32, 64, 128)
WORDS = tuple(
    f"{a}{b}" for a in ("al", "be", "cor", "dan", "el", "fi") for b in ("mar", "nox", "tis", "ra", "vel", "um")
)
TAGS = tuple(f"{one} {two}" for one in WORDS for two in WORDS[:20])


def main(argv: list[str] | None = None) -> int:
    quick = "--quick" in (argv or [])
    files, entries, hashed = (300, 3_000, 4) if quick else (6_300, 100_000, 40)
    print(f"{files} files, {entries} entries; {machine()}")
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        structures, headers = _make_files(root / "loras", files)
        print(f"headers: {headers / files / 1000:.0f} kB each, {structures} different structures")
        cold, memory = _scan_apart(root / "library.db", root / "loras")
        warm, _ = _scan_apart(root / "library.db", root / "loras")
        peer = _seconds(lambda: _start_of_a1111(root / "loras", hashing=False))
        again = _seconds(lambda: _start_of_a1111(root / "loras", hashing=False))
        peer = min(peer, again)
        _make_whole_files(root / "whole", hashed)
        ours_hashed, _ = _scan_apart(root / "hashed.db", root / "whole", hashes=True)
        peer_hashed = _seconds(lambda: _start_of_a1111(root / "whole", hashing=True))
        searching, listing = _ask(root / "large.db", entries)
    share = 6_300 / files
    print(f"cold, headers alone      {cold:.2f} s, {memory:.0f} MB at most")
    print(f"warm                     {warm:.2f} s")
    print(f"A1111's way, no hashes   {peer:.2f} s at every start")
    print(f"with hashes, {hashed} files of 20 MB: {ours_hashed:.2f} s once; A1111's way {peer_hashed:.2f} s")
    print(ratio_line("cold seconds for 6,300 files", cold * share, at_most=15))
    print(ratio_line("warm seconds for 6,300 files", warm * share, at_most=1))
    print(ratio_line("megabytes of memory", memory, at_most=200))
    print(ratio_line("slowest search in ms", searching * 1000, at_most=30))
    print(ratio_line("slowest page of a list in ms", listing * 1000, at_most=50))
    print(ratio_line("A1111's start without hashes / our scan when nothing changed", peer / warm, at_least=5))
    print(ratio_line("our first scan / A1111's start without hashes", cold / peer, at_most=1.5))
    print(ratio_line("our hashing, all kinds / A1111's of one kind", ours_hashed / peer_hashed, at_most=3))
    return 0


def _seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _scan_apart(file: Path, folder: Path, hashes: bool = False) -> tuple[float, float]:
    """Seconds and megabytes of a scan in a process of its own, which has the program loaded."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_scan, args=(file, folder, hashes, answers))
    process.start()
    seconds, megabytes = answers.get()
    process.join()
    return seconds, megabytes


def _scan(file: Path, folder: Path, hashes: bool, answers: multiprocessing.Queue[tuple[float, float]]) -> None:
    start = time.process_time()
    with LibraryIndex.open(file) as library:
        library.add_folder(folder)
        finish(library.scan(hashes=hashes))
    answers.put((time.process_time() - start, _most_memory()))


def _most_memory() -> float:
    """Megabytes that this process had at most. The system's own figure counts what the parent had, too."""
    status = Path("/proc/self/status")
    if status.is_file():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1e3
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


def _start_of_a1111(folder: Path, hashing: bool) -> int:
    """Open every file, read its header, decode its metadata, and know its hash."""
    known = 0
    for path in sorted(folder.rglob("*.safetensors")):
        with path.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            metadata = json.loads(opened.read(length)).get("__metadata__", {})
            for key, value in metadata.items():
                if value.startswith("{"):
                    metadata[key] = json.loads(value)
            digest = metadata.get("sshs_model_hash")
            if hashing and digest is None:
                whole = sha256()
                while chunk := opened.read(1 << 20):
                    whole.update(chunk)
                digest = whole.hexdigest()
        known += digest is not None
    return known


def _make_files(folder: Path, count: int) -> tuple[int, int]:
    """Files whose payloads are holes; gives how many structures there are, and the bytes of all headers."""
    chance = random.Random(0)
    kinds = list(_structures())
    texts: dict[int, tuple[str, int]] = {}
    headers = 0
    for number in range(count):
        place = folder / f"folder {number % 40}"
        place.mkdir(parents=True, exist_ok=True)
        kind = chance.randrange(len(kinds))
        if kind not in texts:
            texts[kind] = _table(kinds[kind][1])
        tensors, payload = texts[kind]
        metadata = json.dumps(_metadata(chance, number, kinds[kind][0]), separators=(",", ":"))
        text = f'{{"__metadata__":{metadata},{tensors}}}'.encode()
        text += b" " * (-len(text) % 8)
        with (place / f"{chance.choice(WORDS)} {chance.choice(WORDS)} {number}.safetensors").open("wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            out.truncate(8 + len(text) + payload)
        headers += len(text)
    return len(texts), headers


def _table(shapes: Shapes) -> tuple[str, int]:
    """The tensors' part of a header, without its braces, and the bytes of the payload."""
    at, table = 0, {}
    for key, shape in shapes.items():
        size = 2
        for extent in shape:
            size *= extent
        table[key] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    return json.dumps(table, separators=(",", ":"))[1:-1], at


def _structures() -> Iterator[tuple[str, Shapes]]:
    """Every family, spelling, algorithm and rank; the version that the header says, and the tensors."""
    families = [family for family in FAMILIES.values() if len(family.public_layers()) > 200]
    for family in families:
        version = family.header_facts().version
        layers = [layer for layer in family.public_layers().values() if layer.kind == "linear"]
        convolutions = [layer for layer in family.public_layers().values() if layer.kind == "conv3"]
        sizes = {layer.name: family.public_size(layer) for layer in (*layers, *convolutions)}
        for rank in RANKS:
            for text in (True, False):
                chosen = [layer for layer in layers if text or layer.part == "unet"]
                flat: Shapes = {}
                dotted: Shapes = {}
                for layer in chosen:
                    o, i = (each or 640 for each in sizes[layer.name])
                    pair = {"lora_down.weight": (rank, i), "lora_up.weight": (o, rank), "alpha": ()}
                    flat |= {f"{layer.name}.{key}": shape for key, shape in pair.items()}
                    path = f"{layer.owner}.{layer.path}"
                    dotted |= {f"{path}.lora_A.weight": (rank, i), f"{path}.lora_B.weight": (o, rank)}
                yield version, flat
                yield version, dotted
                yield version, flat | {f"{layer.name}.dora_scale": (sizes[layer.name][0] or 640, 1) for layer in chosen}
                wide = {}
                for layer in convolutions:
                    o, i = (each or 320 for each in sizes[layer.name])
                    wide |= {f"{layer.name}.lora_down.weight": (rank, i, 3, 3), f"{layer.name}.alpha": ()}
                    wide |= {f"{layer.name}.lora_up.weight": (o, rank, 1, 1)}
                yield version, flat | wide
                loha: Shapes = {}
                lokr: Shapes = {}
                for layer in chosen:
                    o, i = (each or 640 for each in sizes[layer.name])
                    halves = {
                        f"hada_w{n}_{side}": (o, rank) if side == "a" else (rank, i) for n in (1, 2) for side in "ab"
                    }
                    loha |= {f"{layer.name}.{key}": shape for key, shape in {**halves, "alpha": ()}.items()}
                    pieces = {"lokr_w1": (8, 8), "lokr_w2_a": (o // 8, rank), "lokr_w2_b": (rank, i // 8), "alpha": ()}
                    lokr |= {f"{layer.name}.{key}": shape for key, shape in pieces.items()}
                yield version, loha
                yield version, lokr
    for rank in RANKS:
        flux: Shapes = {}
        for block in range(57):
            name = f"double_blocks_{block}_img_attn_qkv" if block < 19 else f"single_blocks_{block - 19}_linear1"
            flux |= {
                f"lora_unet_{name}.lora_down.weight": (rank, 3072),
                f"lora_unet_{name}.lora_up.weight": (9216, rank),
            }
        yield "flux1", flux


def _metadata(chance: random.Random, number: int, version: str) -> dict[str, str]:
    """What sd-scripts writes, one's own in every file; one in ten has none of it."""
    if chance.random() < 0.1:
        return {"format": "pt"}
    tags = chance.sample(TAGS, min(len(TAGS), int(20 * 75 ** chance.random())))
    frequency = {f"{chance.randint(1, 10)}_{chance.choice(WORDS)}": {tag: chance.randint(1, 300) for tag in tags}}
    buckets = {str(each): {"resolution": [512, 512 + 64 * each], "count": each} for each in range(20)}
    return {
        "ss_output_name": f"{chance.choice(WORDS)}-{number}",
        "ss_base_model_version": version,
        "ss_sd_model_name": f"{chance.choice(WORDS)}.safetensors",
        "ss_network_module": "networks.lora",
        "ss_network_dim": "16",
        "ss_tag_frequency": json.dumps(frequency),
        "ss_bucket_info": json.dumps({"buckets": buckets}),
        "ss_training_comment": "None",
        "sshs_model_hash": sha256(str(number).encode()).hexdigest(),
        "modelspec.trigger_phrase": f"{chance.choice(WORDS)} {chance.choice(WORDS)}{number}",
        **{f"ss_setting_{each}": str(chance.random()) for each in range(60)},
    }


def _make_whole_files(folder: Path, count: int) -> None:
    folder.mkdir()
    table, payload = _table({"lora_unet_x.lora_down.weight": (1000, 5000), "lora_unet_x.lora_up.weight": (5000, 1000)})
    text = f'{{"__metadata__":{{"format":"pt"}},{table}}}'.encode()
    text += b" " * (-len(text) % 8)
    for number in range(count):
        body = random.Random(number).randbytes(payload)
        (folder / f"{number}.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)


def _ask(file: Path, count: int) -> tuple[float, float]:
    """Seconds of the slowest search, and of the slowest page."""
    chance = random.Random(1)
    with LibraryIndex.open(file) as library:
        start = time.process_time()
        with library.changing() as db:
            for number in range(count):
                write_told(db, None, _entry(chance, number))
        with library.reading() as db:
            db.execute("analyze")
        print(f"{count} entries written in {time.process_time() - start:.0f} s, {file.stat().st_size / 1e6:.0f} MB")
        families = list(FAMILIES)
        words = ("almar", "el", "almar nox", '"almar benox"', "7", "fi tis cor", "cor 12", "nothing", "almar-5")
        questions = [Filters(words=text, kind=kind) for text in words for kind in ("adapter", "")]
        questions += [Filters(words="almar", family=families[1]), Filters(words="el", mine=True, rating=4)]
        pages = [(Filters(), 0), (Filters(), count // 2), (Filters(family=families[2]), count // 20)]
        pages += [(Filters(tag=TAGS[5]), 0), (Filters(rating=3), 100), (Filters(trigger="almar 77"), 0)]
        pages += [(Filters(mine=True), 0), (Filters(smallest=100_000_000), 500), (Filters(source="civitai"), 900)]
        found = sum(len(library.entries(filters).entries) for filters in questions)
        assert found, "no question is answered"
        searching = {filters: _median(lambda f=filters: library.entries(f, 0, 20)) for filters in questions}  # type: ignore[misc]
        listing = {page: _median(lambda p=page: library.entries(p[0], p[1], 100)) for page in pages}  # type: ignore[misc]
    slow, page = max(searching, key=searching.__getitem__), max(listing, key=listing.__getitem__)
    print(
        f"searches: median {statistics.median(searching.values()) * 1000:.1f} ms, slowest {slow.words!r} {slow.family}"
    )
    print(f"pages: median {statistics.median(listing.values()) * 1000:.1f} ms, slowest from {page[1]} of {page[0]}")
    return searching[slow], listing[page]


def _median(call: Callable[[], object]) -> float:
    call()
    return statistics.median(_seconds(call) for _ in range(5))


def _entry(chance: random.Random, number: int) -> Told:
    name = f"{chance.choice(WORDS)} {chance.choice(WORDS)} {number}"
    path = f"/loras/folder {number % 200}/{name}.safetensors".encode()
    families = list(FAMILIES)
    head = Head(
        "adapter",
        chance.choice(families),
        algorithms=(chance.choice(("lora", "lokr", "loha")),),
        rank=chance.choice(RANKS),
        alias=f"{chance.choice(WORDS)}-{number}",
        triggers=(f"{chance.choice(WORDS)} {number % 1000}",),
        tags=tuple((tag, chance.randint(1, 300)) for tag in chance.sample(TAGS, 30)),
        mine=number % 50 == 0,
        digest=str(number),
    )
    return Told(Found(path, chance.randint(10**6, 3 * 10**8), number, "", None), head, SidecarFacts())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
