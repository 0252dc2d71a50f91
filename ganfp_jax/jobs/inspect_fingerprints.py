"""The job `inspect_fingerprints`: the pictures, tables and page of a network's fingerprints on a labelled folder."""

import csv
import dataclasses
import io
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.inspection import Inspected, choose_scales, inspect, map_of, pictures
from ganfp_jax.data import labelled, reports
from ganfp_jax.data.cells import cell
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.names import fitting, inside
from ganfp_jax.metrics import spectra
from ganfp_jax.metrics.separability import cosine_matrix, separability
from ganfp_jax.metrics.statistics import accuracy_block
from ganfp_jax.report import wording
from ganfp_jax.report.few import MOST, most_confused
from ganfp_jax.report.figures import png
from ganfp_jax.report.fingerprint_figures import FIGURES
from ganfp_jax.report.pages import write_page
from ganfp_jax.report.table import separability_table
from ganfp_jax.run import atomic
from ganfp_jax.run.command import flags
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress
from ganfp_jax.run.provenance import provenance
from ganfp_jax.run.run_folder import write_json

COMPARED = 10  # sources whose separability is measured where there are more than a page shows


METRICS = "metrics.json"


PACKAGES = ("ganfp_jax", "jax", "flax", "numpy", "scikit-learn")


def measure(inspected: Inspected, *, real: str, seed: int) -> dict[str, Any]:
    """Returns the content of metrics.json: accuracy of single views, separability of three feature spaces, cosines.

    Separability is measured on the sources `compared`: all of them or, of very many, the most confused ones.

    Args:
        real: the class of the controls, "" for none.
        seed: the seed of all draws.
    """
    fingerprints, classes = inspected.fingerprints, list(inspected.classes)
    accuracy = accuracy_block(inspected.targets, inspected.predicted, classes)
    compared = most_confused(accuracy, MOST if len(classes) <= MOST else COMPARED, always=real)
    chosen, targets = inspected.of(compared)
    images = inspected.images[chosen]
    groups = inspected.groups[chosen] if inspected.photographs else None
    spaces: dict[str, Callable[[], np.ndarray]] = {
        "fingerprints": lambda: fingerprints.images[chosen].reshape(len(chosen), -1),
        "pixels": lambda: images.reshape(len(images), -1).astype(np.float32) / 255,
        "log spectra": lambda: spectra.log_spectrum_features(images),
    }
    blocks = {}
    with progress(len(spaces), "separability", "space") as bar:
        for space, features in spaces.items():  # one at a time: each can take gigabytes
            blocks[space] = separability(features(), targets, compared, seed=seed, groups=groups, real=real or None)
            bar.update()
    mean_logits = np.stack([fingerprints.logits[inspected.targets == k].mean(0) for k in range(len(classes))])
    return {
        **accuracy,
        "separability": blocks,
        "compared": compared,
        "model_cosine": cosine_matrix(fingerprints.models.reshape(-1, len(classes)).T).tolist(),
        "mean_logit": mean_logits.tolist(),
    }


def interactions_csv(inspected: Inspected) -> str:
    """Returns the text of interactions.csv: each image's inner product with each model fingerprint (without bias)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "target", "predicted", *inspected.classes])
    for i, name in enumerate(inspected.names):
        products = [f"{value:.6g}" for value in inspected.fingerprints.interactions[i]]
        target, predicted = (inspected.classes[k[i]] for k in (inspected.targets, inspected.predicted))
        writer.writerow([cell(name), target, predicted, *products])
    return text.getvalue()


def write_pictures(
    folder: Path, classes: Sequence[str], samples: list[dict[str, Any]], models: list[np.ndarray]
) -> None:
    """Writes every picture as a PNG in `folder`, under the names of the published code."""
    for name, model in zip(classes, models, strict=True):
        _write_png(folder / fitting(f"model_fingerprint_{name}.png"), model)
    stems: set[Path] = set()
    for sample in samples:
        stem = folder / inside(sample["name"]).with_suffix("")
        while stem in stems:  # a.png and a.jpg, or a list's a.png and ../a.png
            stem = stem.with_name(f"{stem.name}_")
        stems.add(stem)
        _write_png(stem.with_name(fitting(f"{stem.name}_image_fingerprint.png")), sample["fingerprint"])
        for name, response in zip(classes, sample["responses"], strict=True):
            responding = f"{stem.name}_image_fingerprint_responding_to_model_fingerprint_{name}.png"
            _write_png(stem.with_name(fitting(responding)), response)


def _write_png(path: Path, image: UInt8[np.ndarray, "h w 3"]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    encode_png(path, image)


def spectra_of(inspected: Inspected, sources: Sequence[str]) -> dict[str, Any]:
    """Returns average power spectra of the images of some sources, and of their fingerprints if these are images."""

    def average(values: np.ndarray) -> dict[str, np.ndarray]:
        return {
            name: spectra.average_log_power(values[inspected.targets == k])
            for name, k in zip(sources, inspected.places(sources), strict=True)
        }

    fingerprints = inspected.fingerprints.images
    tables = {
        "images": average(inspected.images),
        "fingerprints": average(fingerprints) if fingerprints.ndim == 4 else None,
    }
    profiles: dict[str, Any] = {}
    for kind, table in tables.items():
        rings = {name: spectra.radial_profile(spectrum) for name, spectrum in (table or {}).items()}
        if rings:
            profiles["frequencies"] = next(iter(rings.values()))[0].tolist()
        profiles[kind] = {name: values.tolist() for name, (_, values) in rings.items()} or None
    return {**tables, "profiles": profiles}


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `inspect_fingerprints`."""
    require(config, "checkpoint", "data.root")
    attributor = Attributor.load(config["checkpoint"])
    if config["real"] and config["real"] not in attributor.classes:
        raise UserError(
            f"config.real {config['real']!r} is none of the network's classes {', '.join(attributor.classes)}; give "
            'the class of photographs, on which the controls are made, or "" for no controls'
        )
    folder = labelled.open_labelled(
        Path(config["data"]["root"]), split="test", classes=attributor.classes, layout=config["data"]["layout"]
    )
    images = labelled.Images(folder, attributor.resolution, config["data"]["resize"], seed=config["seed"])
    inspected = inspect(attributor, images, images_per_source=config["images_per_source"])
    metrics = measure(inspected, real=config["real"], seed=config["seed"])
    write_json(workdir / METRICS, metrics)  # first, since all else is drawn from them
    sources = most_confused(metrics, always=config["real"])
    examples = inspected.some_of_each(config["pictures"], sources)
    limits = {k: config[k] for k in ("fingerprint_limit", "response_limit", "mask_negative")}
    scales = choose_scales(inspected, examples, sources, **limits)
    samples, models = pictures(inspected, examples, sources, scales)
    shutil.rmtree(workdir / "pictures", ignore_errors=True)  # an earlier run may have left pictures of other images
    write_pictures(workdir / "pictures", sources, samples, models)
    write_json(workdir / "pictures" / "scales.json", dataclasses.asdict(scales) | {"words": scales.words()})
    atomic.write_bytes(workdir / "interactions.csv", interactions_csv(inspected).encode())
    reports.write_rejected(workdir / "rejected.csv", inspected.rejected)
    places = inspected.places(sources)
    results = {
        "title": "Fingerprints",
        "command": shlex.join([*shlex.split(config["command"]), *flags(config)]),
        **provenance(PACKAGES),
        "config": config,
        "classes": sources,
        "network": _describe(inspected),
        "metrics": metrics,
        "interactions": np.array(metrics["mean_logit"])[np.ix_(places, places)],
        "samples": samples,
        "models": models,
        "embedding": map_of(inspected, config["seed"], sources),
        "spectra": spectra_of(inspected, sources),
        "separability": metrics["separability"],
        "cosine": np.array(metrics["model_cosine"])[np.ix_(places, places)],
        "scales": scales.words(),
        "notes": list(_notes(inspected, metrics)),
    }
    for name, draw in FIGURES.items():
        atomic.write_bytes(_made(workdir / "figures") / f"{name}.png", png(draw, results))
    write_page("fingerprints", results, workdir / "report" / "index.html")
    print(separability_table(metrics))
    print(f"report: {workdir / 'report' / 'index.html'}  metrics: {workdir / METRICS}")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _describe(inspected: Inspected) -> str:
    if inspected.fingerprints.images.ndim == 4:
        return "The fingerprint network, by one view,"
    return f"The attribution network (fingerprints of {inspected.fingerprints.size} numbers), by one view,"


def _notes(inspected: Inspected, metrics: Mapping[str, Any]) -> Iterator[str]:
    blocks, compared = metrics["separability"], metrics["compared"]
    if len(compared) < len(inspected.classes):
        yield (
            f"Separability is that of {len(compared)} of the {len(inspected.classes):,} sources, which are confused "
            f"most ({wording.listed(compared)})."
        )
    if inspected.photographs:
        yield (
            "Crops of one photograph are not independent. They never form a pair, and the intervals of ROC-AUC and EER "
            "resample photographs; those of accuracy and FD ratio are for other crops of the same photographs."
        )
    else:
        yield (
            "Which images were taken from one photograph is not known, so nothing here tells a trace of the source "
            "from the pictures themselves, and the intervals take the images for independent."
        )
    by_photograph = blocks["fingerprints"]["frechet_ratio_by_group"]
    if by_photograph and by_photograph["value"] is not None:
        yield (
            f"The FD ratio of fingerprints is {by_photograph['value']:.1f} where the halves of a source never share a "
            "photograph: what is left above 1 then is not the photographs."
        )
    if inspected.rejected:
        yield f"{len(inspected.rejected)} files could not be used; rejected.csv lists them."
