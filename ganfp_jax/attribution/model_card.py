"""The model card of an attribution network: Markdown with the metadata that the Hugging Face hub reads."""

import json
import re
from collections.abc import Mapping
from typing import Any

from ganfp_jax.attribution import promises
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.report import wording
from ganfp_jax.run.console import one_line
from ganfp_jax.run.errors import UserError

TASK = "image-classification"
TAGS = ("image-forensics", "gan-fingerprints", "source-attribution", "jax", "flax", "safetensors")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|&!~$])")


def model_card(name: str, attributor: Attributor, license: str, metrics: Mapping[str, Any] | None = None) -> str:
    """Writes the card of a network.

    Args:
        name: of the network.
        attributor: the network, with its calibration.
        license: of the weights, by its identifier on the hub, such as "apache-2.0"; "unknown" where none was chosen.
        metrics: the metrics.json of configs/evaluate.py for this network, on images as they are.

    Raises:
        UserError: the license is no identifier, or the metrics are not of such a network.
    """
    import yaml

    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,60}", license):
        raise UserError(f"the license {license!r} is no identifier of the hub; give one such as apache-2.0, or unknown")
    if metrics is not None:
        _check(metrics, attributor)
    front = yaml.safe_dump(_metadata(name, license, metrics), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{_text(name, attributor, metrics)}"


def _metadata(name: str, license: str, metrics: Mapping[str, Any] | None) -> dict[str, Any]:
    data = {"library_name": "ganfp_jax", "license": license, "pipeline_tag": TASK, "tags": [*TAGS]}
    if metrics is None:
        return data
    images = f"{metrics['total']:,} labelled images of {len(metrics['classes'])} sources"
    accuracy = {"type": "accuracy", "name": f"accuracy of the vote ({metrics['rule']})", "value": metrics["accuracy"]}
    result = {"task": {"type": TASK}, "dataset": {"name": images, "type": "imagefolder"}, "metrics": [accuracy]}
    return data | {"model-index": [{"name": name, "results": [result]}]}


def _text(name: str, attributor: Attributor, metrics: Mapping[str, Any] | None) -> str:
    import jinja2

    loader = jinja2.PackageLoader("ganfp_jax", "attribution")
    environment = jinja2.Environment(
        loader=loader, undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"percent": wording.percent, "interval": wording.interval, "rule": wording.rule_label}
    calibration = attributor.calibration_for(attributor.default_views, "majority")  # the vote where nothing is asked
    typical = None if calibration is None else calibration.typical
    return environment.get_template("model_card.md.j2").render(
        name=_plain(name),
        quoted=json.dumps(name),
        classes=[_plain(source) for source in attributor.classes],
        side=attributor.resolution,
        views=attributor.default_views,
        metrics=metrics,
        calibration=calibration,
        unsure=calibration.where_unsure if calibration else "",
        typical=typical,
        promised=_plain(promises.promised(typical)) if typical else "",
        digest=attributor.digest,
    )


def _plain(text: str) -> str:
    """Returns text that Markdown shows as it is, on one line."""
    return _MARKUP.sub(r"\\\1", one_line(text))


def _check(metrics: Mapping[str, Any], attributor: Attributor) -> None:
    try:
        numbers = [metrics["accuracy"], *metrics["ci95"]]
        sound = (
            tuple(metrics["classes"]) == attributor.classes
            and all(type(number) in (int, float) and 0 <= number <= 1 for number in numbers)
            and (len(numbers), type(metrics["total"]), type(metrics["rule"])) == (3, int, str)
            and re.fullmatch(r"\w+", metrics["rule"])
            and isinstance(metrics["views"], list)
        )
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise UserError(
            f"the metrics are not those of a network of {', '.join(attributor.classes)}; give the metrics.json of "
            "configs/evaluate.py for this network"
        )
