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
    results: str = ""
    """The file of its results, which `--json` prints: JSON at the end, in one line; JSON lines as they come, by the job
    itself (`run.console.emit`)."""
    may_grow: Callable[[Mapping[str, Any]], dict[str, str]] = lambda config: {}
    """The keys of a config that may be larger than before (`run.run_folder.open_run`)."""


JOBS = {
    "ablation": Job(results="ablation.json"),
    "attribute": Job(at_the_end="images", results="predictions.jsonl"),
    "audit": Job(results="audit.json"),
    "baselines": Job(results="baselines.json"),
    "calibrate": Job(results="calibration.json"),
    "compare": Job(at_the_end="images", results="comparison.json"),
    "course_project": Job(resumes=True, results="results.json"),
    "enrol": Job(),
    "evaluate": Job(several=True, results="metrics.json"),
    "export_weights": Job(),
    "generate": Job(resumes=True),
    "group": Job(at_the_end="images", results="groups.json"),
    "import_weights": Job(),
    "inspect_fingerprints": Job(results="metrics.json"),
    "interpolate": Job(resumes=True),
    "merge": Job(),
    "prepare": Job(),
    "quality": Job(results="quality.json"),
    "quickstart": Job(resumes=True),
    "robustness": Job(resumes=True, results="metrics.json"),
    "score": Job(results="metrics.json"),
    "train": Job(resumes=True, several=True, may_grow=longer.may_grow),
}
