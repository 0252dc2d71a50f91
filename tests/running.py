"""Running a job in this process."""

import contextlib
import importlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganfp_jax.jobs import JOBS
from ganfp_jax.main import job_module
from ganfp_jax.run.run_folder import open_run


def run_job(name: str, workdir: Path, overrides: Mapping[str, Any] | None = None) -> str:
    """What `--config=configs/NAME.py[:variant]` with these overrides prints; `name` is NAME[:variant]."""
    module, _, variant = name.partition(":")
    config = importlib.import_module(f"configs.{module}").get_config(*filter(None, (variant,)))
    given = {key: str(value) if isinstance(value, Path) else value for key, value in (overrides or {}).items()}
    config.update_from_flattened_dict(given)
    settings = config.to_dict()
    job = JOBS[settings["job"]]
    claimed = open_run(workdir, settings, may_grow=job.may_grow(settings), resumes=job.resumes)
    with claimed, contextlib.redirect_stdout(io.StringIO()) as printed:
        status = job_module(settings["job"]).run(settings, workdir)
    assert not status, f"{name} ended with {status}: {printed.getvalue()}"
    return printed.getvalue()
