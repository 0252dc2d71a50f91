"""The pictures of a page on labelled images: samples, wrongly named images as every view saw them, fingerprints.

All are made again from the files, so a page can be written long after the network has spoken.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.inspection import Inspected, choose_scales, map_of, pictures
from ganfp_jax.data import labelled, perturb
from ganfp_jax.data.decode import png_bytes
from ganfp_jax.data.views import apply_view
from ganfp_jax.metrics.embedding import FEWEST
from ganfp_jax.report.few import most_confused
from ganfp_jax.report.grid import image_grid

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


def samples(
    folder: labelled.LabelledFolder,
    names: Sequence[str],
    sources: Sequence[str],
    *,
    resolution: int,
    resize: str = "crop",
) -> dict[str, dict[str, Any]]:
    """The first images of some sources: source -> `report.results.Sample`.

    Args:
        folder: where the images lie.
        names: "source/file" of those that may be shown.
        sources: the classes that are shown, at least one.
        resolution, resize: as for `data.labelled.decode_all`.
    """
    room = min(SAMPLE_BYTES, SAMPLES_BYTES // len(sources))
    side = min(resolution, math.isqrt(room // 3))
    most = min(SAMPLES, max(1, room // (3 * side**2)))
    known, found = set(names), {}
    for source in sources:
        label = folder.classes.index(source)
        own = [int(i) for i in np.flatnonzero(folder.labels == label) if folder.names[i] in known][:most]
        if own:
            images = labelled.decode_all(folder, resolution, resize, indices=own).images
            small = np.stack([_reduced(image, side) for image in images]) if len(images) else images
            grid = image_grid(small, columns=max(1, min(12, 768 // side)), scale=max(1, 64 // side))
            caption = "the first test image" if len(own) == 1 else f"the first {len(own)} test images"
            found[source] = {"picture": png_bytes(grid), "caption": caption}
    return found


def with_views(
    rows: Sequence[Mapping[str, Any]],
    folder: labelled.LabelledFolder,
    *,
    resolution: int,
    resize: str = "crop",
    perturbation: str = "none",
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Rows of `evaluation_page.wrong_images` with the pictures that the network was shown; as many as a page can hold.

    Args:
        rows: each may have "views".
        folder: where the images lie.
        resolution, resize: as for `data.labelled.decode_all`.
        perturbation, seed: as for `evaluation.evaluate`.
    """
    if not rows:
        return []
    views = [view["name"] for view in rows[0].get("views", ())]
    weight = 3 * (resolution**2 + len(views) * min(resolution, VIEW_SIDE) ** 2)
    rows = rows[: max(1, WRONG_BYTES // weight)]
    place = {name: i for i, name in enumerate(folder.names)}
    decoded = labelled.decode_all(folder, resolution, resize, indices=[place[row["name"]] for row in rows])
    images = perturb.perturb(decoded.images, perturbation, seed, numbers=decoded.kept)
    seen = {view: _seen_as(images, view) for view in views}
    return [
        {**row, "picture": png_bytes(image)}
        | ({"views": [view | {"picture": seen[view["name"]][i]} for view in row["views"]]} if views else {})
        for i, (row, image) in enumerate(zip(rows, images, strict=True))
    ]


def fingerprint_parts(
    attributor: Attributor,
    folder: labelled.LabelledFolder,
    names: Sequence[str],
    metrics: Mapping[str, Any],
    *,
    resize: str = "crop",
    perturbation: str = "none",
    seed: int = 0,
) -> dict[str, Any]:
    """Fingerprints, responses and map of some images: `report.results.Fingerprints`.

    Of every source that a page shows some images are drawn at random. All are on the map, where they are enough for
    one; the first that one view named right and the first that it named wrong are shown with their responses to the
    sources that are confused most.

    Args:
        attributor: the network.
        folder: opened with its classes.
        names: "source/file" of the images that may be drawn; at least one.
        metrics: of the evaluation, which say which sources are shown.
        resize: as for `data.labelled.decode_all`.
        perturbation, seed: as for `evaluation.evaluate`; the seed draws the images too.
    """
    known, rng = set(names), np.random.default_rng(seed)
    usable = np.array([name in known for name in folder.names])
    drawn = [
        np.sort(rng.permutation(np.flatnonzero(usable & (folder.labels == k)))[:MAPPED])
        for k in map(folder.classes.index, most_confused(metrics))
    ]
    decoded = labelled.decode_all(folder, attributor.resolution, resize, indices=np.concatenate(drawn))
    images = perturb.perturb(decoded.images, perturbation, seed, numbers=decoded.kept)
    found = Inspected(
        classes=folder.classes,
        names=[folder.names[i] for i in decoded.kept],
        images=images,
        targets=folder.labels[decoded.kept],
        groups=np.arange(len(images)),
        fingerprints=attributor.fingerprints(images),
        rejected=(),
    )
    columns = most_confused(metrics, COLUMNS)
    shown = _shown(found, columns)
    scales = choose_scales(found, shown, columns, fingerprint_limit=0.0, response_limit=0.0, mask_negative=False)
    rows, models = pictures(found, shown, columns, scales)
    for row in rows:
        row["image"], row["fingerprint"] = (_reduced(row[key], RESPONSE_SIDE) for key in ("image", "fingerprint"))
        row["responses"] = [_reduced(response, RESPONSE_SIDE) for response in row["responses"]]
    return {
        "classes": columns,
        "mapped": most_confused(metrics),
        "samples": rows,
        "models": [_reduced(model, RESPONSE_SIDE) for model in models],
        "embedding": map_of(found, seed, most_confused(metrics)) if len(images) >= FEWEST else None,
        "scales": scales.words(),
    }


def _shown(found: Inspected, sources: Sequence[str]) -> list[int]:
    """The first right and the first wrong image of each source, source by source; of many sources, the right ones."""
    shown = []
    for right in (True, False):
        for k in map(found.classes.index, sources):
            shown += np.flatnonzero((found.targets == k) & ((found.predicted == k) == right))[:1].tolist()
    return sorted(shown[:RESPONDING], key=lambda i: (found.targets[i], found.predicted[i] != found.targets[i]))


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
