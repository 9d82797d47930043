"""Libraries' harmless chatter, silenced while we call them and left as it was afterwards."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# diffusers imports bitsandbytes wherever that is installed, which then complains about a kernel that nobody asked for.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence diffusers' and transformers' logs, bars and deprecations inside the block; errors still raise."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    before = [library.get_verbosity() for library in libraries]
    bars = [library.is_progress_bar_enabled() for library in libraries]
    try:
        for library in libraries:
            library.set_verbosity_error()
            library.disable_progress_bar()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for library, verbosity, bar in zip(libraries, before, bars, strict=True):
            library.set_verbosity(verbosity)
            if bar:
                library.enable_progress_bar()
