"""The pictures of a page on labelled images: samples, wrongly named images as every view saw them, fingerprints.

All are made again from the files, so a page can be written long after the network has spoken.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganfp_jax.attribution import open_set
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evaluation import Evaluation
from ganfp_jax.attribution.inspection import Inspected, choose_scales, map_of, pictures
from ganfp_jax.attribution.unknown_images import UnknownImages
from ganfp_jax.data.decode import png_bytes
from ganfp_jax.data.labelled import Images
from ganfp_jax.data.perturb import label
from ganfp_jax.data.views import apply_view
from ganfp_jax.metrics.embedding import FEWEST
from ganfp_jax.report.few import MOST, most_confused
from ganfp_jax.report.grid import image_grid
from ganfp_jax.report.robustness_page import PICTURED

# Noise hardly compresses, so these limits of what a page holds are counted in bytes of raw pixels.
SAMPLES = 24  # images of each source that a page shows, at most
SAMPLE_BYTES = 150_000  # of one source
SAMPLES_BYTES = 750_000  # of all sources: of many, each has fewer images, and smaller ones
WRONG_BYTES = 1_000_000  # of all wrongly named images and their views
VIEW_SIDE = 48  # larger views are reduced to it
MAPPED = 60  # images of each source in the map
COLUMNS = 10  # sources to which responses are shown
RESPONDING = 10  # rows of images with their responses, at most
RESPONSE_SIDE = 64  # larger pictures of fingerprints and responses are reduced to it


def unknown_part(measured: open_set.Measured, images: Images, unknown: UnknownImages) -> dict[str, Any]:
    """A page's part on images of unknown sources: a `report.results.Unknown`.

    Args:
        measured: the numbers.
        images: of the folder of the unknown ones.
        unknown: the answers, with the names of those that could be read.
    """
    readable = images.part(images.folder.places(unknown.names))
    shown = samples(readable, list(measured.metrics["kinds"])[:MOST])
    return {"metrics": measured.metrics, "curves": measured.curves, "samples": shown}


def samples(images: Images, sources: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The first images of some sources: source -> `report.results.Sample`.

    Args:
        images: those that may be shown; they are shown clean.
        sources: the classes that are shown, at least one.
    """
    labels = images.folder.labels[images.indices]
    room = min(SAMPLE_BYTES, SAMPLES_BYTES // len(sources))
    side = min(images.resolution, math.isqrt(room // 3))
    most = min(SAMPLES, max(1, room // (3 * side**2)))
    of_sources = {}
    for source in sources:
        places = np.sort(images.indices[labels == images.folder.classes.index(source)])[:most]
        if len(places):
            decoded = images.under("none").part(places).decode().images
            if not len(decoded):  # those that only a perturbation made large enough
                continue
            small = np.stack([_reduced(image, side) for image in decoded])
            grid = image_grid(small, columns=max(1, min(12, 768 // side)), scale=max(1, 64 // side))
            caption = "the first test image" if len(places) == 1 else f"the first {len(places)} test images"
            of_sources[source] = {"picture": png_bytes(grid), "caption": caption}
    return of_sources


def parts(attributor: Attributor, images: Images, evaluation: Evaluation) -> dict[str, Any]:
    """What the page of an evaluation shows of its images: "samples", "wrong" and "fingerprints".

    Args:
        attributor: the network that was evaluated.
        images: those that could be read.
        evaluation: what it said of them.
    """
    metrics = evaluation.metrics
    return {
        "samples": samples(images, most_confused(metrics)),
        "wrong": with_views(wrong_images(evaluation), images),
        "fingerprints": fingerprint_parts(attributor, images, metrics),
    }


def wrong_images(evaluation: Evaluation, most: int = 24) -> list[dict[str, Any]]:
    """Images that the vote or the single view got wrong: the voted ones first, the sources in turn.

    Each is a `report.results.Wrong` but for the pictures, which `with_views` adds.
    """
    classes, vote, targets = evaluation.metrics["classes"], evaluation.vote, evaluation.targets
    single = vote.view_predictions[evaluation.metrics["views"].index(evaluation.metrics["single_view"]["view"])]
    places: list[int] = []
    for wrong in (vote.predicted != targets, (vote.predicted == targets) & (single != targets)):
        indices = np.flatnonzero(wrong)
        before: Counter[int] = Counter()
        turn = []
        for target in targets[indices].tolist():
            turn.append(before[target])
            before[target] += 1
        places += [int(i) for i in indices[np.argsort(turn, kind="stable")]]
    return [
        {
            "name": evaluation.names[i],
            "target": classes[targets[i]],
            "single": classes[single[i]],
            "voted": classes[vote.predicted[i]],
            "votes": {classes[k]: int(n) for k, n in enumerate(vote.votes[i]) if n},
            "confidence": float(vote.probabilities[i].max()),
            "views": [
                {"name": view, "called": "" if called < 0 else classes[called]}
                for view, called in zip(evaluation.metrics["views"], vote.view_predictions[:, i], strict=True)
            ],
        }
        for i in places[:most]
    ]


def with_views(rows: Sequence[Mapping[str, Any]], images: Images) -> list[dict[str, Any]]:
    """Rows of `wrong_images` with the pictures that the network was shown; as many as a page can hold.

    Args:
        rows: each may have "views".
        images: those that it was shown.
    """
    if not rows:
        return []
    views = [view["name"] for view in rows[0].get("views", ())]
    weight = 3 * (images.resolution**2 + len(views) * min(images.resolution, VIEW_SIDE) ** 2)
    rows = rows[: max(1, WRONG_BYTES // weight)]
    decoded = images.part(images.folder.places(row["name"] for row in rows)).decode().images
    seen = {view: _seen_as(decoded, view) for view in views}
    return [
        {**row, "picture": png_bytes(image)}
        | ({"views": [view | {"picture": seen[view["name"]][i]} for view in row["views"]]} if views else {})
        for i, (row, image) in enumerate(zip(rows, decoded, strict=True))
    ]


def fingerprint_parts(attributor: Attributor, images: Images, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Fingerprints, responses and map of some images: `report.results.Fingerprints`.

    Of every source that a page shows some images are drawn at random. All are on the map, where they are enough for
    one; the first that one view named right and the first that it named wrong are shown with their responses to the
    sources that are confused most.

    Args:
        attributor: the network.
        images: those that may be drawn, by their seed; at least one, of a folder that was opened with its classes.
        metrics: of the evaluation, which say which sources are shown.
    """
    folder, rng = images.folder, np.random.default_rng(images.seed)
    places, sources = np.sort(images.indices), most_confused(metrics)
    drawn = [
        np.sort(rng.permutation(places[folder.labels[places] == k])[:MAPPED])
        for k in map(folder.classes.index, sources)
    ]
    decoded = images.part(np.concatenate(drawn)).decode()
    inspected = Inspected(
        classes=folder.classes,
        names=[folder.names[i] for i in decoded.kept],
        images=decoded.images,
        targets=folder.labels[decoded.kept],
        groups=np.arange(len(decoded.kept)),
        fingerprints=attributor.fingerprints(decoded.images),
        rejected=(),
    )
    columns = most_confused(metrics, COLUMNS)
    examples = _examples(inspected, columns)
    scales = choose_scales(inspected, examples, columns, fingerprint_limit=0.0, response_limit=0.0, mask_negative=False)
    rows, models = pictures(inspected, examples, columns, scales)
    for row in rows:
        row["image"], row["fingerprint"] = (_reduced(row[key], RESPONSE_SIDE) for key in ("image", "fingerprint"))
        row["responses"] = [_reduced(response, RESPONSE_SIDE) for response in row["responses"]]
    return {
        "classes": columns,
        "mapped": sources,
        "samples": rows,
        "models": [_reduced(model, RESPONSE_SIDE) for model in models],
        "embedding": map_of(inspected, images.seed, sources) if len(decoded.kept) >= FEWEST else None,
        "scales": scales.words(),
    }


def _examples(inspected: Inspected, sources: Sequence[str]) -> list[int]:
    """The first right and the first wrong image of each source, source by source; of many sources, the right ones."""
    examples = []
    for right in (True, False):
        for k in map(inspected.classes.index, sources):
            examples += np.flatnonzero((inspected.targets == k) & ((inspected.predicted == k) == right))[:1].tolist()
    return sorted(
        examples[:RESPONDING], key=lambda i: (inspected.targets[i], inspected.predicted[i] != inspected.targets[i])
    )


def _seen_as(images: UInt8[np.ndarray, "n h w 3"], view: str) -> list[bytes]:
    """What a view shows of each image, as PNG files."""
    seen = np.asarray(apply_view(images.astype(np.float32), view))
    return [png_bytes(_reduced(image, VIEW_SIDE)) for image in np.rint(seen).clip(0, 255).astype(np.uint8)]


def _reduced(picture: UInt8[np.ndarray, "h w 3"], side: int) -> UInt8[np.ndarray, "_h _w 3"]:
    """A picture whose longer side is at most `side`; pixels are averaged."""
    height, width = picture.shape[:2]
    share = side / max(height, width)
    if share >= 1:
        return picture
    size = (max(1, round(share * width)), max(1, round(share * height)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def perturbed_grids(images: Images, perturbations: Sequence[str]) -> dict[str, UInt8[np.ndarray, "h w 3"]]:
    """What each perturbation makes of one image of each of the first sources, side by side, by its label."""
    labels = images.folder.labels[images.indices]
    firsts = images.part([int(images.indices[labels == k][0]) for k in np.unique(labels)[:PICTURED]])
    scale = max(1, 64 // images.resolution)
    return {
        label(name): image_grid(firsts.under(name).decode().images, len(firsts), scale=scale, gap=2)
        for name in perturbations
    }
