"""A trained generator (or real photographs) -> one labelled image folder with a manifest."""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float32, PyTree, UInt8

from ganfp_jax import atomic, models, pixels
from ganfp_jax.audit.quick import tell_leaks
from ganfp_jax.data import labelled, sources
from ganfp_jax.data.cut import Cuts
from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.listing import printable
from ganfp_jax.data.names import fitting
from ganfp_jax.errors import UserError
from ganfp_jax.latents import draw_latents
from ganfp_jax.pixels import Encoding
from ganfp_jax.progress import compiles, progress
from ganfp_jax.training.gan_step import make_sampler
from ganfp_jax.weights import digest, load

# The beginnings of the published file names; a source that is not listed here gives its files its own name.
FILE_PREFIXES = {"CramerGAN": "CRAMER", "MMDGAN": "MMD"}


class Sampler:
    """A trained generator, ready to draw images by seed.

    Attributes:
        source_name: the name of its class in labelled folders.
        batch_size: images drawn at once; fixed where the generator normalises by the batch it draws, else None.
        latents: what `draw_latents` needs beside a generator of random numbers and a count.
        origin: what the manifest records about it.
    """

    def __init__(self, path: str | Path, encoding: Encoding = "plain") -> None:
        """Loads a generator.

        Args:
            path: the run folder of a GAN's training, or exported or imported weights; see `ganfp_jax.weights.load`.
            encoding: how images become stored values: "plain" or "published"; see `ganfp_jax.pixels`.

        Raises:
            UserError: an unknown encoding, or there is no generator, or none that can be read.
        """
        pixels.check(encoding=encoding)
        weights = load(path, "generator")
        generator = models.create(**weights.model)
        variables = jax.device_put(weights.variables)
        self._params = variables.pop("params")
        self._stats = variables
        self._sample: Callable[[PyTree, Mapping[str, PyTree], np.ndarray], Array] = compiles(
            jax.jit(make_sampler(generator, {}, weights.about["pixels"], encoding))
        )
        self.latents: dict[str, Any] = weights.about["latents"]
        self.source_name: str = weights.about["source_name"]
        self.resolution: int = weights.model["resolution"]
        self.batch_size: int | None = weights.about["batch_size"]
        self.origin = {
            "generator": str(path),
            **({"step": weights.origin["step"]} if "step" in weights.origin else {}),
            "digest": digest(weights.variables),
            "encoding": encoding,
        }

    def stream(self, seed: int, count: int, batch_size: int) -> Iterator[UInt8[np.ndarray, "n h w 3"]]:
        """Batches of images, `count` in all.

        Image i depends on the seed and on i alone, except where `self.batch_size` is set: there it depends on the
        latents of its batch, whose size is then that one, whatever is asked for.

        Raises:
            UserError: a batch size below 1, or a seed that NumPy's generator does not take.
        """
        if batch_size < 1:
            raise UserError(f"batch_size is {batch_size}; give 1 or more")
        if not 0 <= seed < 2**32:
            raise UserError(f"seed {seed} is no whole number from 0 to {2**32 - 1}")
        batch_size = self.batch_size or batch_size  # whole batches, whichever is drawn
        rng = np.random.RandomState(seed)
        for start in range(0, count, batch_size):
            z = draw_latents(rng, batch_size, **self.latents)
            yield self.draw(z, batch_size)[: count - start]

    def draw(self, latents: Float32[np.ndarray, "n d"], batch_size: int) -> UInt8[np.ndarray, "n h w 3"]:
        """Images of the latents, at least one, in batches; the last is filled up, so that one shape is compiled."""
        batch_size = self.batch_size or batch_size
        images = []
        for start in range(0, len(latents), batch_size):
            z = latents[start : start + batch_size]
            filling = np.repeat(z[-1:], batch_size - len(z), axis=0)
            batch = self._sample(self._params, self._stats, np.concatenate([z, filling]))
            images.append(np.asarray(batch)[: len(z)])
        return np.concatenate(images)


def write_generated(sampler: Sampler, root: Path, *, count: int, seed: int, batch_size: int) -> None:
    """Writes `count` images as `<root>/<source>/<prefix>_%08d.png`; memory does not grow with the count.

    Raises:
        UserError: as `Sampler.stream`; another process is writing the same source, or other files lie in its place.
    """
    images = itertools.chain.from_iterable(sampler.stream(seed, count, batch_size))
    origin = sampler.origin | {
        "seed": seed,
        "count": count,
        "resolution": sampler.resolution,
    }
    names = [file_name(sampler.source_name, i) for i in range(count)]
    _write(root, sampler.source_name, origin, names, zip(names, images, strict=True))


def file_name(source_name: str, index: int) -> str:
    """What the image of this index is called in its source's folder, such as "ProGAN_00000012.png"."""
    return fitting(f"{FILE_PREFIXES.get(source_name, source_name)}_{index:08d}.png")


def write_photographs(root: Path, *, source_name: str, count: int, resolution: int, photos: Mapping[str, Any]) -> None:
    """Writes `count` crops of the embedded photographs as `<root>/<source_name>/<photograph>_%05d.png`."""
    real = sources.photos(count=count, resolution=resolution, **photos)
    origin = {
        "source": "photos",
        "photographs": sorted(set(real.origins)),
        "count": count,
        "resolution": resolution,
        **photos,
    }
    names = [f"{name}.png" for name in real.names]
    _write(root, source_name, origin | {"encoding": "plain"}, names, zip(names, real.images, strict=True))


def write_cuts(
    root: Path, *, source_name: str, count: int, resolution: int, folder: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """Writes `count` photographs of a folder, cut to size, as `<root>/<source_name>/<number>_<name>.png`.

    Args:
        folder: {"root": the folder, "first": how many it passes over, "resize": one of `preprocess.RESIZES`}.

    Returns:
        (file, reason) of those that could not be used, which are left out.

    Raises:
        UserError: as `Cuts`; another process is writing the same source, or other files lie in its place.
    """
    given = Path(folder["root"])
    cuts = Cuts(given, first=folder["first"], count=count, resolution=resolution, resize=folder["resize"])
    origin = {"source": "folder", "count": count, "resolution": resolution, **folder, "encoding": "plain"}
    _write(root, source_name, origin, cuts.names, cuts)
    return cuts.rejected


def _write(
    root: Path,
    source_name: str,
    origin: dict[str, Any],
    names: Sequence[str],
    images: Iterable[tuple[str, UInt8[np.ndarray, "h w 3"]]],
) -> None:
    """Writes `<root>/<source_name>/<name>` for each (name, image), then the source into the manifest.

    Raises:
        UserError: another process is writing the same source, or files lie there that have none of these names.
    """
    folder = root / source_name
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(root, source_name):
        atomic.sweep(root)
        if others := {path.name for path in folder.iterdir() if not path.name.startswith(".")}.difference(names):
            raise UserError(
                f"{folder} holds other files, such as {printable(min(others))}, which would pass for images "
                f"of {source_name} made now; remove that folder, or give another config.root"
            )
        known = (labelled.read_manifest(root) or {"sources": {}})["sources"]
        if source_name in known and known[source_name] != origin:
            _register(root, source_name, {})  # should we be killed among the new images, the manifest tells no lie
        with progress(len(names), source_name, "image") as bar:
            for name, image in images:
                encode_png(folder / name, image)
                bar.update()
        _register(root, source_name, origin)


@contextlib.contextmanager
def _alone(root: Path, source_name: str) -> Iterator[None]:
    """Keeps every other process from writing this source; several may write sources of one root at once."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(atomic.locked(root / fitting(f".{source_name}.lock"), wait=False))
        except BlockingIOError:
            raise UserError(
                f"another process is writing {root / source_name}; wait for it or give another config.root"
            ) from None
        yield


def _register(root: Path, source_name: str, origin: dict[str, Any]) -> None:
    """Adds a source to the folder's manifest; sources already there keep their place in the class order."""
    # Of two jobs that add to the manifest at once, the later would write what it read before the other.
    with atomic.locked(root / f".{labelled.MANIFEST}.lock", wait=True):
        manifest = labelled.read_manifest(root) or {"classes": [], "sources": {}}
        classes = [*manifest["classes"], *([] if source_name in manifest["classes"] else [source_name])]
        labelled.write_manifest(root, classes, manifest["sources"] | {source_name: origin})


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `generate`."""
    root = Path(config["root"] or workdir / "images")
    if config["count"] < 1:
        raise UserError(f"config.count is {config['count']}; give the number of images to make")
    written = config["count"]
    if config["generator"] == "photos":
        write_photographs(
            root,
            source_name="real",
            count=config["count"],
            resolution=config["resolution"],
            photos=config["photos"],
        )
    elif config["generator"] == "folder":
        rejected = write_cuts(
            root,
            source_name="real",
            count=config["count"],
            resolution=config["resolution"],
            folder=config["folder"],
        )
        labelled.tell_rejected(rejected, workdir)
        written -= len(rejected)
    elif config["generator"]:
        sampler = Sampler(Path(config["generator"]), config["encoding"])
        write_generated(sampler, root, count=config["count"], seed=config["seed"], batch_size=config["batch_size"])
    else:
        raise UserError(
            'config.generator is empty; give a run folder (--config.generator=runs/progan), "photos" or "folder"'
        )
    print(f"{written} images in {root}")
    with contextlib.suppress(UserError):  # one source only, or a folder that cannot be used yet
        tell_leaks(labelled.open_labelled(root))
