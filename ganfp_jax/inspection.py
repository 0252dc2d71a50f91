"""A network and a labelled folder -> its fingerprints as pictures, how they interact, and how far they separate."""

import csv
import dataclasses
import io
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from ganfp_jax import atomic, spectra
from ganfp_jax.attributor import Attributor
from ganfp_jax.command import flags
from ganfp_jax.data import labelled
from ganfp_jax.data.cells import cell
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.names import fitting, inside
from ganfp_jax.embedding import FEWEST, tsne
from ganfp_jax.errors import UserError
from ganfp_jax.fingerprints import Fingerprints
from ganfp_jax.metrics import accuracy_block
from ganfp_jax.progress import progress
from ganfp_jax.provenance import provenance
from ganfp_jax.report import figures, wording
from ganfp_jax.report.few import MOST, most_confused
from ganfp_jax.report.fingerprint_page import write_fingerprint_page
from ganfp_jax.report.table import separability_table
from ganfp_jax.run_folder import write_json
from ganfp_jax.separability import cosine_matrix, separability
from ganfp_jax.signed import signed_picture, vector_as_rows

PERCENTILE = 99.5  # of the sizes of the values shown, where a limit is not given
MAPPED = 200  # images of each source in the t-SNE map, at most
MOST_MAPPED = 2000  # of all sources
MOST_IMAGES = 10_000  # of all sources, where a number of images is asked for: they stand in memory
COMPARED = 10  # sources among which separability is measured where there are more than a page shows
METRICS = "metrics.json"
PACKAGES = ("ganfp_jax", "jax", "flax", "numpy", "scikit-learn")


@dataclasses.dataclass(frozen=True)
class Inspected:
    """Labelled images and what a network makes of them."""

    classes: Sequence[str]
    names: Sequence[str]
    """"source/file" of each image."""
    images: UInt8[np.ndarray, "n r r 3"]
    targets: Int[np.ndarray, " n"]
    groups: Int[np.ndarray, " n"]
    """Images with one number were taken from one photograph."""
    fingerprints: Fingerprints
    rejected: Sequence[tuple[str, str]]

    @property
    def predicted(self) -> Int[np.ndarray, " n"]:
        """Class index of the largest logit of each image."""
        return self.fingerprints.logits.argmax(1)

    @property
    def photographs(self) -> int:
        """How many photographs more than one image was taken from; 0 where none is known."""
        return int((np.unique(self.groups, return_counts=True)[1] > 1).sum())

    def places(self, sources: Sequence[str]) -> list[int]:
        """Class indices of some sources."""
        return [self.classes.index(name) for name in sources]

    def of(self, sources: Sequence[str]) -> tuple[Int[np.ndarray, " m"], Int[np.ndarray, " m"]]:
        """Positions of all images of some sources, in their order, and the index among these sources of each."""
        place = np.full(len(self.classes), -1)
        place[self.places(sources)] = np.arange(len(sources))
        chosen = np.flatnonzero(place[self.targets] >= 0)
        return chosen, place[self.targets[chosen]]

    def some_of_each(self, count: int, sources: Sequence[str]) -> list[int]:
        """Positions of `count` images of each of some sources, source by source, evenly spread over its files."""
        shown: list[int] = []
        for k in map(self.classes.index, sources):
            own = np.flatnonzero(self.targets == k)
            shown += own[np.linspace(0, len(own), min(count, len(own)), endpoint=False).astype(int)].tolist()
        return shown


@dataclasses.dataclass(frozen=True)
class Scales:
    """The one scale of every picture of a kind: the size of a value that is drawn at full strength."""

    fingerprint: float
    response: float
    model: float
    mask_negative: bool

    def words(self) -> dict[str, str]:
        """How values became colours, for a reader of the pictures."""
        masked = "; zero where a channel of the pixel is negative" if self.mask_negative else ""
        return {
            "image fingerprints": f"±{self.fingerprint:.3g}, cut beyond",
            "responses": f"fingerprint times unscaled model fingerprint, ±{self.response:.3g}, cut beyond{masked}",
            "model fingerprints": f"unscaled, ±{self.model:.3g} (the largest of all)",
        }


def inspect(
    attributor: Attributor,
    folder: labelled.LabelledFolder,
    *,
    images_per_source: int,
    seed: int,
    resize: str = "crop",
) -> Inspected:
    """Takes the fingerprints of some images of every source: a random choice that depends on `seed` alone.

    Args:
        folder: opened with the network's classes.
        images_per_source: at most; 0 takes all. Of very many sources fewer are taken, `MOST_IMAGES` in all.

    Raises:
        UserError: no image of a source could be read, or fewer than four of all.
    """
    rng = np.random.default_rng(seed)
    images_per_source = images_of_each(images_per_source, len(folder.classes))
    chosen = [
        np.sort(rng.permutation(np.flatnonzero(folder.labels == k))[: images_per_source or None])
        for k in range(len(folder.classes))
    ]
    decoded = labelled.decode_all(folder, attributor.resolution, resize=resize, indices=np.concatenate(chosen))
    targets = folder.labels[decoded.kept]
    for k, name in enumerate(folder.classes):
        if k not in targets:
            reason = next((why for image, why in decoded.rejected if image.startswith(f"{name}/")), "there is none")
            raise UserError(f"{folder.root} has no usable image of {name} ({reason}); see data.resize and data.root")
    if len(targets) < FEWEST:
        raise UserError(f"{folder.root} gives {len(targets)} images; fingerprints are compared from {FEWEST} images on")
    origins = np.array(labelled.origins(folder))[decoded.kept]
    return Inspected(
        classes=folder.classes,
        names=[folder.names[i] for i in decoded.kept],
        images=decoded.images,
        targets=targets,
        groups=np.unique(origins, return_inverse=True)[1].reshape(-1),
        fingerprints=attributor.fingerprints(decoded.images),
        rejected=[*decoded.rejected, *folder.left_out],
    )


def images_of_each(asked: int, sources: int) -> int:
    """Images that are taken of each source: those asked for, or of very many sources what `MOST_IMAGES` leaves each."""
    return min(asked, max(FEWEST, MOST_IMAGES // sources))


def measure(inspected: Inspected, *, real: str, seed: int) -> dict[str, Any]:
    """The content of metrics.json: accuracy of single views, separability of three feature spaces, cosines.

    Separability is that of the sources `compared`: all, or of very many those that are confused most.

    Args:
        real: the class of the controls, "" for none.
        seed: of everything random.
    """
    found, classes = inspected.fingerprints, list(inspected.classes)
    accuracy = accuracy_block(inspected.targets, inspected.predicted, classes)
    compared = most_confused(accuracy, MOST if len(classes) <= MOST else COMPARED, always=real)
    chosen, targets = inspected.of(compared)
    images = inspected.images[chosen]
    groups = inspected.groups[chosen] if inspected.photographs else None
    spaces: dict[str, Callable[[], np.ndarray]] = {
        "fingerprints": lambda: found.images[chosen].reshape(len(chosen), -1),
        "pixels": lambda: images.reshape(len(images), -1).astype(np.float32) / 255,
        "log spectra": lambda: spectra.log_spectrum_features(images),
    }
    blocks = {}
    with progress(len(spaces), "separability", "space") as bar:
        for space, features in spaces.items():  # one at a time: each can take gigabytes
            blocks[space] = separability(features(), targets, compared, seed=seed, groups=groups, real=real or None)
            bar.update()
    mean_logits = np.stack([found.logits[inspected.targets == k].mean(0) for k in range(len(classes))])
    return {
        **accuracy,
        "separability": blocks,
        "compared": compared,
        "model_cosine": cosine_matrix(found.models.reshape(-1, len(classes)).T).tolist(),
        "mean_logit": mean_logits.tolist(),
    }


def interactions_csv(inspected: Inspected) -> str:
    """The text of interactions.csv: each image's inner product with each model fingerprint (no bias)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "target", "predicted", *inspected.classes])
    for i, name in enumerate(inspected.names):
        products = [f"{value:.6g}" for value in inspected.fingerprints.interactions[i]]
        target, predicted = (inspected.classes[k[i]] for k in (inspected.targets, inspected.predicted))
        writer.writerow([cell(name), target, predicted, *products])
    return text.getvalue()


def responses(
    inspected: Inspected, index: int, columns: Sequence[str], mask_negative: bool
) -> Float[np.ndarray, "k ..."]:
    """The responses of one image to some sources, at the scale of unscaled weights.

    See configs/inspect_fingerprints.py.
    """
    found = inspected.fingerprints
    products = found.responses(index, inspected.places(columns)) * np.sqrt(found.size)
    if mask_negative and products.ndim == 4:
        products = np.where(products.min(-1, keepdims=True) < 0, 0, products)
    return products


def choose_scales(
    inspected: Inspected,
    shown: Sequence[int],
    columns: Sequence[str],
    *,
    fingerprint_limit: float,
    response_limit: float,
    mask_negative: bool,
) -> Scales:
    """One limit for every kind of picture: the one given, or where that is 0 what most of the values shown reach."""

    def limit(given: float, values: np.ndarray) -> float:
        return given or float(np.percentile(np.abs(values), PERCENTILE)) or 1.0

    found = inspected.fingerprints
    return Scales(
        fingerprint=limit(fingerprint_limit, found.images[list(shown)]),
        response=limit(response_limit, np.stack([responses(inspected, i, columns, mask_negative) for i in shown])),
        model=float(np.abs(found.models).max() * np.sqrt(found.size)) or 1.0,
        mask_negative=mask_negative,
    )


def picture(values: np.ndarray, limit: float) -> UInt8[np.ndarray, "h w 3"]:
    """A fingerprint or response (F,) or (R, R, 3) as colours; a vector is folded into rows."""
    return signed_picture(vector_as_rows(values) if values.ndim == 1 else values, limit)


def pictures(
    inspected: Inspected, shown: Sequence[int], columns: Sequence[str], scales: Scales
) -> tuple[list[dict[str, Any]], list[np.ndarray]]:
    """The images `shown` with their fingerprints and responses as pictures, and the model fingerprints of `columns`."""
    found, places = inspected.fingerprints, inspected.places(columns)
    samples = [
        {
            "image": inspected.images[i],
            "fingerprint": picture(found.images[i], scales.fingerprint),
            "responses": [
                picture(response, scales.response)
                for response in responses(inspected, i, columns, scales.mask_negative)
            ],
            "logits": found.logits[i, places].tolist(),
            "target": inspected.classes[inspected.targets[i]],
            "predicted": inspected.classes[inspected.predicted[i]],
            "name": inspected.names[i],
        }
        for i in shown
    ]
    models = np.moveaxis(found.models[..., places], -1, 0) * np.sqrt(found.size)
    return samples, [picture(model, scales.model) for model in models]


def write_pictures(
    folder: Path, classes: Sequence[str], samples: list[dict[str, Any]], models: list[np.ndarray]
) -> None:
    """Writes every picture as a PNG of its own inside `folder`, under the names that the published code gives them."""
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


def map_of(inspected: Inspected, seed: int, sources: Sequence[str]) -> dict[str, Any]:
    """The 2-D map of the image fingerprints of up to `MAPPED` images of each of some sources, `MOST_MAPPED` of all."""
    shown = inspected.some_of_each(max(FEWEST, min(MAPPED, MOST_MAPPED // len(sources))), sources)
    place = {inspected.classes.index(name): k for k, name in enumerate(sources)}
    features = inspected.fingerprints.images[shown].reshape(len(shown), -1)
    wrong = inspected.predicted[shown] != inspected.targets[shown]
    labels = np.array([place[target] for target in inspected.targets[shown].tolist()])
    return {"points": tsne(features, seed), "labels": labels, "wrong": wrong}


def spectra_of(inspected: Inspected, sources: Sequence[str]) -> dict[str, Any]:
    """Average power spectra of the images of some sources, and of their fingerprints where these are images."""

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
    for key in ("checkpoint", "data.root"):
        if not (config["checkpoint"] if key == "checkpoint" else config["data"]["root"]):
            raise UserError(f"config.{key} is empty; give a folder: --config.{key}=DIR")
    attributor = Attributor.load(config["checkpoint"])
    if config["real"] and config["real"] not in attributor.classes:
        raise UserError(
            f"config.real {config['real']!r} is none of the network's classes {', '.join(attributor.classes)}; give "
            'the class of photographs, on which the controls are made, or "" for no controls'
        )
    folder = labelled.open_labelled(
        Path(config["data"]["root"]), split="test", classes=attributor.classes, layout=config["data"]["layout"]
    )
    inspected = inspect(
        attributor,
        folder,
        images_per_source=config["images_per_source"],
        seed=config["seed"],
        resize=config["data"]["resize"],
    )
    metrics = measure(inspected, real=config["real"], seed=config["seed"])
    write_json(workdir / METRICS, metrics)  # before whatever is only drawn from them
    sources = most_confused(metrics, always=config["real"])
    shown = inspected.some_of_each(config["pictures"], sources)
    limits = {k: config[k] for k in ("fingerprint_limit", "response_limit", "mask_negative")}
    scales = choose_scales(inspected, shown, sources, **limits)
    samples, models = pictures(inspected, shown, sources, scales)
    shutil.rmtree(workdir / "pictures", ignore_errors=True)  # of other images, if this run folder has some
    write_pictures(workdir / "pictures", sources, samples, models)
    write_json(workdir / "pictures" / "scales.json", dataclasses.asdict(scales) | {"words": scales.words()})
    atomic.write_bytes(workdir / "interactions.csv", interactions_csv(inspected).encode())
    labelled.write_rejected(workdir / "rejected.csv", inspected.rejected)
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
    for name, draw in figures.FIGURES.items():
        atomic.write_bytes(_made(workdir / "figures") / f"{name}.png", draw(results))
    write_fingerprint_page(results, workdir / "report" / "index.html")
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
