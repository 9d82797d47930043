"""Captions in sentences, from any program that prints a caption for a path."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lorasmith.dataset.reading import Dataset, Item
from lorasmith.errors import DatasetError, ImageError, UsageError
from lorasmith.events import Note, Progress, Work, eta
from lorasmith.images.crops import open_part
from lorasmith.project import Project, safe_name
from lorasmith.tags.refusal import refuse
from lorasmith.tags.store import read_sentences, store_sentences

PLACE = "{image}"
"""Stands for the image's path in a command; without it the path comes last."""

_TIMEOUT = 300.0
_LONGEST = 4000  # characters
_SAVE_EVERY = 20


def read_command(text: str) -> tuple[str, ...]:
    """A command as it is typed in a shell, in parts; no shell runs it. Raises UsageError."""
    try:
        parts = tuple(shlex.split(text))
    except ValueError as fault:
        raise UsageError(f"{text!r}: cannot be read as a command ({fault}).", hint="Close every quote.") from None
    if not parts:
        raise UsageError("an empty captioning command.", hint="Give a program that prints a caption for a path.")
    return parts


def caption_images(
    project: Project, dataset: Dataset, command: Sequence[str], again: bool = False, timeout: float = _TIMEOUT
) -> Work[int]:
    """Run `command` for every image that it has not captioned yet (`again`: for all) and keep what it prints.

    Gives the number of images captioned. The sentences are kept by `Item.content` and the command, along the way, so
    that it can be interrupted. Of an image with a decided crop the program gets that part, as a file of its own. An
    image for which the program fails, prints nothing, or takes longer than `timeout` seconds is named by a note and
    passed over. Raises UsageError when there is no such program, DatasetError when it fails for every image,
    RefusedError.
    """
    program = shutil.which(command[0]) if command else None
    if program is None:
        raise UsageError(
            f"{command[0] if command else ''}: no such program.", hint="Install it, or give its whole path."
        )
    name = shlex.join(command)
    store_sentences(project, name, {})
    known = {} if again else read_sentences(project, name)
    items = {item.content: item for item in dataset.items if item.content not in known}
    fresh: dict[str, str] = {}
    captioned, fault, started = 0, "", time.monotonic()
    try:
        for done, (content, item) in enumerate(items.items(), start=1):
            try:
                with _file_of(item) as file:
                    sentence = _caption([program, *command[1:]], file, timeout)
                refuse(sentence, item.name)
                fresh[content] = sentence
                captioned += 1
            except _FailedError as failed:
                fault = str(failed)
                yield Note(f"{item.name}: no caption: {fault}", "warning")
            if len(fresh) >= _SAVE_EVERY:
                store_sentences(project, name, fresh)
                fresh = {}
            yield Progress("captioning", done, len(items), eta(started, done, len(items)))
    finally:
        if fresh:
            store_sentences(project, name, fresh)
    if items and not captioned:
        raise DatasetError(f"it gave no caption for any of {len(items)} images: {fault}", where=name)
    return captioned


@contextmanager
def _file_of(item: Item) -> Iterator[Path]:
    """The file that the program looks at. Raises _FailedError when a crop cannot be cut."""
    if item.crop is None:
        yield item.path
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{safe_name(item.path.stem)}.png"
        try:
            open_part(item.path, item.crop).save(file)
        except (ImageError, OSError) as fault:
            raise _FailedError(f"its crop cannot be cut: {fault}") from None
        yield file


class _FailedError(Exception):
    """The program gave no caption for one image."""


def _caption(command: Sequence[str], image: Path, timeout: float) -> str:
    """What the program says of one image, on one line. Raises _FailedError."""
    path = str(image)
    filled = [part.replace(PLACE, path) for part in command[1:]]
    if filled == list(command[1:]):
        filled.append(path)
    try:
        ran = subprocess.run(
            [command[0], *filled],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _FailedError(f"took longer than {timeout:g} s.") from None
    except OSError as fault:
        raise _FailedError(f"cannot be run: {fault.strerror}.") from None
    if ran.returncode != 0:
        last = ran.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _FailedError(f"the program ended with {ran.returncode}{': ' + last[-1][:200] if last else '.'}")
    sentence = " ".join(ran.stdout.decode("utf-8", "replace").replace("\0", " ").split())
    if not sentence:
        raise _FailedError("the program printed nothing.")
    if len(sentence) > _LONGEST:
        raise _FailedError(f"printed {len(sentence)} characters; a caption has at most {_LONGEST}.")
    return sentence
