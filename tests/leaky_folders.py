"""Labelled folders whose files give the classes away, and what the audit says of them."""

import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageFilter
from PIL.PngImagePlugin import PngInfo

from configs import audit as config_file
from ganfp_jax.audit import facts, sample, verdict
from ganfp_jax.data import labelled
from ganfp_jax.models.pixels import to_stored

SOURCES = ("ProGAN", "real")


COUNT = 48


LEAKS = [kind for kind, about in facts.KINDS.items() if about.leak]


def picture(rng, side=24):
    """Smooth noise around grey: neither 0 nor 255, and no level left out."""
    noise = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    values = np.asarray(noise.filter(ImageFilter.GaussianBlur(1)), float)
    return np.clip(np.rint(values + rng.normal(0, 4, values.shape)), 1, 254).astype(np.uint8)


def png(path, image, **options):
    Image.fromarray(image).save(path.with_suffix(".png"), **options)


def jpeg(path, image, **options):
    Image.fromarray(image).save(path.with_suffix(".jpg"), **options)


def commented(path, image):
    text = PngInfo()
    text.add_text("Software", "trainer")
    png(path, image, pnginfo=text)


def stretch(image):
    """As the published CramerGAN and MMDGAN images were written, of values before rounding."""
    rng = np.random.default_rng(int(image.sum()))
    values = (image + rng.uniform(-0.5, 0.5, image.shape)).astype(np.float32) / 255
    return np.asarray(to_stored(jnp.asarray(values[None]), "unit", "published"))[0]


def write_folder(root, seed, writers, count=COUNT):
    rng = np.random.default_rng(seed)
    for source, write in zip(SOURCES, writers, strict=True):
        (root / source).mkdir(parents=True)
        for i in range(count):
            write(root / source / f"{source}_{i:08d}", picture(rng))
    return root


def config_of(root, **changes):
    return (
        config_file.get_config("tiny").to_dict()
        | {"data": {"root": str(root), "layout": "auto"}, "files_per_source": COUNT}
        | changes
    )


def sampled(config):
    root, settings = config["data"]["root"], {key: config[key] for key in ("files_per_source", "folds", "seed")}
    return sample.read_sample(sample.list_files(labelled.open_splits(root)), len(SOURCES), root=root, **settings)


def judged(root, seed=0):
    config = config_of(root, seed=seed)
    own, files, _ = sampled(config)
    settings = {key: config[key] for key in ("folds", "alpha", "min_gain", "seed")}
    labels = np.array([file.label for file in files])
    return {f.kind: f for f in verdict.judge(own, labels, SOURCES, [file.origin for file in files], **settings)}
