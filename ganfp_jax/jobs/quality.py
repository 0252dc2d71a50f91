"""The job `quality`: a generator's run folder and real images -> quality.json and a table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from ganfp_jax.data.real import real_images
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.metrics import distances, inception, monitor, ms_ssim, swd
from ganfp_jax.report.table import text_table
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress
from ganfp_jax.run.run_folder import write_json


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `quality`."""
    count, seed = config["count"], config["seed"]
    require(config, "generator")
    if count < 2:
        raise UserError(f"config.count is {count}; the metrics need two images or more")
    sampler = Sampler(Path(config["generator"]))
    swd.level_sides(sampler.resolution)  # it raises for an impossible pyramid before the images are made
    features = None
    if config["inception"]:
        if config["kid"]["subset_size"] > count:  # checked before the slow features
            raise UserError(f"config.kid.subset_size is {config['kid']['subset_size']}; at most config.count, {count}")
        features = inception.make_features(Path(config["inception"]), batch_size=config["batch_size"])
    real = _real_images(config["data"], sampler.resolution, count * (2 if config["floor"] else 1), workdir)
    sets = {"generated": _generated(sampler, count, seed, config["batch_size"])}
    if config["floor"]:
        sets["real"] = real[count:]
    results = {name: _measure(name, real[:count], images, seed) for name, images in sets.items()}
    if features:
        for name, values in _inception_metrics(features, real[:count], sets, config["kid"], seed).items():
            results[name] |= values
    write_json(
        workdir / "quality.json",
        {"generator": sampler.origin, "resolution": sampler.resolution, "count": count, "seed": seed, **results},
    )
    print(table(results))
    print(f"quality: {workdir / 'quality.json'}")


def table(results: Mapping[str, Mapping[str, float]]) -> str:
    """Formats one line a metric and one column a set."""
    metrics = next(iter(results.values()))
    rows = [(name, *(f"{values[name]:.4g}" for values in results.values())) for name in metrics]
    return text_table(["metric", *results], rows, align="<" + ">" * len(results))


def _real_images(data: Mapping[str, Any], resolution: int, count: int, workdir: Path) -> UInt8[np.ndarray, "n h w 3"]:
    real = real_images(data, resolution=resolution, workdir=workdir, count=count)
    if len(real) < count:
        raise UserError(
            f"config.data.{data['source']} has {len(real)} images, {count} are needed; lower config.count"
            " or set config.floor to False, which halves the need"
        )
    # The order is shuffled, so that the floor's two halves do not differ by their place in the folder.
    return real.images[np.random.RandomState(0).permutation(count)]


def _generated(sampler: Sampler, count: int, seed: int, batch_size: int) -> UInt8[np.ndarray, "n h w 3"]:
    parts = []
    with progress(count, sampler.source_name, "image") as bar:
        for images in sampler.stream(seed, count, batch_size):
            parts.append(images)
            bar.update(len(images))
    return np.concatenate(parts)


def _measure(
    name: str, real: UInt8[np.ndarray, "n h w 3"], images: UInt8[np.ndarray, "n h w 3"], seed: int
) -> dict[str, float]:
    with progress(swd.num_chunks(real.shape[1]), f"swd of {name}", "chunk") as bar:
        measured = monitor.swd_names(swd.swd(real, images, seed=seed, tick=bar.update), len(images))
    with progress(-(-(len(images) // 2) // ms_ssim.BATCH), f"ms_ssim of {name}", "batch") as bar:
        return measured | monitor.diversity(images, seed=seed, tick=bar.update)


def _inception_metrics(
    features: inception.Features,
    real: UInt8[np.ndarray, "n h w 3"],
    sets: Mapping[str, UInt8[np.ndarray, "n h w 3"]],
    kid_args: Mapping[str, int],
    seed: int,
) -> dict[str, dict[str, float]]:
    with progress(len(real) * (1 + len(sets)), "inception", "image") as bar:
        reference, codes = features(real, bar.update), {name: features(x, bar.update) for name, x in sets.items()}
    results = {}
    for name, values in codes.items():
        kid = distances.kernel_distance(reference, values, seed=seed, **kid_args)
        results[name] = {
            f"fid{len(values)}": distances.frechet_distance(reference, values),
            f"kid{len(values)}": kid.value,
            f"kid{len(values)}_standard_error": kid.standard_error,
        }
    return results
