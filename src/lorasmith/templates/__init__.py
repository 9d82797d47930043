"""Pages as HTML, from the Jinja2 templates beside this module: whatever is put in is escaped, and nothing else in the
house makes HTML.

`parts.html` holds what several pages show.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from lorasmith.remedies import Do, Remedy, Sentence, Write

if TYPE_CHECKING:
    from jinja2 import Environment
    from PIL.Image import Image


def render(page: str, **values: object) -> str:
    """The page of this template with these values."""
    return _environment().get_template(page).render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("lorasmith", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["parts"] = _parts
    environment.filters["embedded"] = _embedded
    environment.policies["json.dumps_kwargs"] = {}  # in their own order
    return environment


def _parts(advice: str | Remedy) -> Iterator[tuple[str, bool]]:
    """The words of an advice, and whether they say what to type."""
    for part in advice.parts if isinstance(advice, Sentence) else (advice,):
        yield str(part), isinstance(part, Do | Write)


def _embedded(image: Image) -> str:
    """The address of a picture that lies in the page itself."""
    out = io.BytesIO()
    image.convert("RGB").save(out, format="WEBP", quality=88)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
