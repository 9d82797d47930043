"""Caption files as kohya's trainer reads them: for those who want its captions to the byte.

The documented reading is `read_dataset`'s: same stem, all lines, a byte-order mark left out, an empty file no fault.
"""

from __future__ import annotations

import os
from pathlib import Path

from lorasmith.errors import DatasetError

_FACE_TOKENS = 4


def read_as_kohya(image: Path, extension: str = ".txt", *, wildcard: bool = False) -> str | None:
    """The caption that kohya's trainer gives an image, None without one (it then takes the folder's words).

    Its first line only, stripped; with `wildcard` all lines that are not blank, one of which it draws at random.
    A byte-order mark stays. Where the whole path (without its suffix) has five parts or more between underscores,
    the path without its last four is tried too: a picture `a_b_c_d_e.png` may take the caption of `a`. `extension`:
    the trainer's own default is ".caption", everybody's setting is ".txt".
    Raises DatasetError where the trainer stops: an empty file, or text that is not UTF-8.
    """
    base = os.path.splitext(image)[0]
    tokens = base.split("_")
    tried = [base, "_".join(tokens[:-_FACE_TOKENS])] if len(tokens) > _FACE_TOKENS else [base]
    file = next((file for file in (Path(path + extension) for path in tried) if file.is_file()), None)
    if file is None:
        return None
    try:
        with file.open(encoding="utf-8") as text:
            lines = text.readlines()
    except UnicodeDecodeError as fault:
        raise DatasetError(
            f"not UTF-8 text (byte {fault.start}); kohya's trainer stops here.", where=file, hint="Save it as UTF-8."
        ) from None
    except OSError as fault:
        raise DatasetError(f"cannot be opened: {fault.strerror}.", where=file) from None
    if not lines:
        raise DatasetError("empty; kohya's trainer stops here.", where=file, hint="Write a caption, or delete it.")
    if wildcard:
        return "\n".join(line for line in map(str.strip, lines) if line)
    return lines[0].strip()
