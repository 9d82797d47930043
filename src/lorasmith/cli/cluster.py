"""The --cluster option of the commands whose work can be dealt out."""

from __future__ import annotations

from typing import Annotated

import typer

ClusterOption = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="local|ADDRESS",
        help="Let a Ray cluster do the work: HOST:PORT, or one started here. [env: LORASMITH_CLUSTER]",
        show_default=False,
    ),
]
