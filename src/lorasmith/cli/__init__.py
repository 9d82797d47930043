"""The terminal face: parse, call, render."""

import time

BEGUN = time.perf_counter()
"""When this process began, but for Python's own start."""
