"""The table of jobs and their modules agree."""

from pathlib import Path

import pytest

from ganfp_jax.jobs import JOBS
from ganfp_jax.main import job_module


@pytest.mark.parametrize("name", [name for name in JOBS if JOBS[name].results])
def test_a_job_writes_the_results_that_json_prints(name):
    module = job_module(name)
    written = JOBS[name].results
    assert written in vars(module).values() or f'"{written}"' in Path(module.__file__).read_text(encoding="utf-8")
    assert ("console.emit(" in Path(module.__file__).read_text(encoding="utf-8")) == written.endswith(".jsonl")
