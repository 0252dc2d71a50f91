"""Detection of dead gradients: a network whose gradient is 0 learns nothing, though its training goes on."""

from collections.abc import Mapping
from pathlib import Path

from ganfp_jax.run.errors import UserError
from ganfp_jax.training.logs import logged

SUFFIX = "_grad_norm"  # the steps' metric for the norm of a network's whole gradient
# A norm below this counts as 0: spread over a network's parameters it is less than Adam's epsilon, and moves nothing.
LEAST = 1e-6


class DeadGradients:
    """Checks every logged gradient norm."""

    def __init__(self, dead_after: int, workdir: Path, start: int) -> None:
        """Resumes the count from the log of the steps up to `start`.

        Args:
            dead_after: steps over which a gradient may be 0 (below `LEAST`) at every log; 0 for any number.
            workdir: run folder.
            start: step that the training resumes from, 0 for a new training.

        Raises:
            UserError: `dead_after` is negative.
        """
        if dead_after < 0:
            raise UserError(f"config.dead_after is {dead_after}; give a number of steps, or 0 for any number")
        self._dead_after, self._workdir = dead_after, workdir
        self._since: dict[str, int] = {}  # name -> step of the first log of the present row of zeros
        if start:
            for step, values in logged(workdir, start):
                self._note(step, values)

    def look(self, step: int, values: Mapping[str, float]) -> None:
        """Checks the values logged at `step`.

        Raises:
            UserError: a gradient has been 0 for too long.
        """
        self._note(step, values)
        for name, since in self._since.items():
            if 0 < self._dead_after <= step - since:
                network = name.removeprefix("train/").removesuffix(SUFFIX)
                raise UserError(
                    f"the {network} of {self._workdir} learns nothing: its gradient ({name}) was below {LEAST:g} at "
                    f"every log from step {since} to {step}; change the seed or the settings, in another --workdir "
                    "(config.dead_after says how many such steps are allowed)"
                )

    def _note(self, step: int, values: Mapping[str, float]) -> None:
        zero = [name for name, value in values.items() if name.endswith(SUFFIX) and value < LEAST]
        self._since = {name: self._since.get(name, step) for name in zero}
