"""The job `study`, until it is one with the quickstart."""

from ganfp_jax.jobs.quickstart.scratch import run

__all__ = ["run"]
