"""The whole study in one command, by networks that come shipped or are trained here."""

from pathlib import Path
from typing import Any


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `quickstart`."""
    from ganfp_jax.jobs.quickstart import shipped

    shipped.run(config, workdir)
