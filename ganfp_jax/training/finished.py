"""What a finished training has to say: how far it came, how good it was, where it lies, what comes next."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganfp_jax.training import longer

METRICS = "metrics.jsonl"


def summary(config: Mapping[str, Any], workdir: Path, steps: int) -> str:
    """Two lines for the console."""
    told = f"{workdir} is trained: {steps:,} steps{_accuracy(workdir)}"
    if config["program"] == "gan":
        following = f"--config=configs/generate.py --config.generator={workdir}"
    else:
        data = f"--config.checkpoint={workdir} --config.data.root={config['data']['root']}"
        following = f"--config=configs/evaluate.py {data}"
    key = longer.KEYS["growing" in config]
    more = "" if longer.may_grow(config)[key] else f"; a larger --config.{key} goes on with it"
    return f"{told}\nnext: {following}{more}"


def _accuracy(workdir: Path) -> str:
    """Of the last look at test images, where there was one."""
    path = workdir / METRICS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in reversed(lines):
        record = json.loads(line)
        if "eval/accuracy" in record:
            return f", {100 * record['eval/accuracy']:.1f} % of the test images right at step {record['step']:,}"
    return ""
