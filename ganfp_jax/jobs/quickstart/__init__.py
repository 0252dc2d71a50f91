"""The whole study in one command, with shipped networks or with networks that are trained here."""

from pathlib import Path
from typing import Any


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `quickstart`: a config with generators of its own trains them, one without takes a shipped set."""
    from ganfp_jax.jobs.quickstart import parts, scratch, shipped

    parts.carry_out(
        scratch.open_study(config, workdir) if "generators" in config else shipped.open_study(config, workdir)
    )
