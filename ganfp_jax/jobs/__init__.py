"""The jobs that a user runs: one module a job, named as its config; no job imports another.

`run(config, workdir)` of the module does the job. It returns the exit status; None means 0.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ganfp_jax.run import longer


class Job(NamedTuple):
    """The facts about a job that are needed before its import, which takes seconds."""

    resumes: bool = False
    """Whether it continues where it was stopped; other jobs replace their results."""
    several: bool = False
    """Whether several processes can share it."""
    at_the_end: str = ""
    """The key whose values may stand after "--" and may differ from one command to the next."""
    may_grow: Callable[[Mapping[str, Any]], dict[str, str]] = lambda config: {}
    """The keys of a config that may be larger than before (`run.run_folder.open_run`)."""


JOBS = {
    "ablation": Job(),
    "attribute": Job(at_the_end="images"),
    "audit": Job(),
    "baselines": Job(),
    "calibrate": Job(),
    "course_project": Job(resumes=True),
    "evaluate": Job(several=True),
    "export_weights": Job(),
    "generate": Job(resumes=True),
    "import_weights": Job(),
    "inspect_fingerprints": Job(),
    "interpolate": Job(resumes=True),
    "prepare": Job(),
    "quality": Job(),
    "quickstart": Job(resumes=True),
    "robustness": Job(resumes=True),
    "score": Job(),
    "train": Job(resumes=True, several=True, may_grow=longer.may_grow),
}
