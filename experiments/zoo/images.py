"""The images of the study: crops of photographs, and what generators draw, in three labelled folders."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from experiments.zoo import photographs
from ganfp_jax.data import manifests
from ganfp_jax.generation.folders import write_generated, write_photographs
from ganfp_jax.generation.sampler import Sampler

PHOTOS = {"reduction": 2.0, "min_luma_std": 10.0}  # settings of the embedded photographs
SEEDS = {"crops": 0, "train": 1, "valid": 2, "test": 3}


def make_crops(crops: Path, packages: Path | None, sizes: Mapping[str, Any]) -> None:
    """Writes the GANs' real images `<crops>/real/*.png` from training photographs."""
    if "real" not in _done(crops):
        write_real(crops, packages, "train", sizes["crops"], sizes["resolution"])


def write_mixed(root: Path, packages: Path | None, split: str, sizes: Mapping[str, Any]) -> None:
    """Writes `<root>/real/` with crops of reduced photographs and, in a folder of their own, of native ones.

    Without packages all are as `write_real` writes them, and so are those of the test.
    """
    native = sizes["native"].get(split, 0)
    if packages is None or not native:
        write_real(root, packages, split, sizes[split], sizes["resolution"])
        return
    parts = {"reduced": (split, sizes[split] - native), "native": (split, native)}
    write_crops(root, packages, parts, sizes["resolution"])


def write_crops(root: Path, packages: Path, parts: Mapping[str, tuple[str, int]], resolution: int) -> None:
    """Writes `<root>/real/<part>/` of the packages' photographs.

    Args:
        root: a labelled folder.
        packages: as for `photographs.write_crops`.
        parts: "native" or "reduced" -> the photographs' side of the split, and the number of crops.
        resolution: their side.
    """
    names: set[str] = set()
    settings: dict[str, Any] = {"resolution": resolution, "seed": SEEDS["crops"]}
    for part, (split, count) in parts.items():
        of = {"split": split, "count": count, "native": part == "native", **settings}
        names.update(photographs.write_crops(root / "real" / part, packages, **of))
    origin = {"source": "Debian packages", "photographs": sorted(names), **settings}
    manifests.write_manifest(root, ["real"], {"real": origin})


def write_real(root: Path, packages: Path | None, split: str, count: int, resolution: int) -> None:
    """Writes `<root>/real/` from the packages' photographs; the test, or no packages, takes the embedded ones."""
    if packages is None or split == "test":
        photos = PHOTOS | {"split": "all" if packages else "test" if split == "test" else "train", "seed": SEEDS[split]}
        write_photographs(root, source_name="real", count=count, resolution=resolution, photos=photos)
        return
    seed = SEEDS["crops"]  # so the network's training crops are the GANs' first
    names = photographs.write_crops(root / "real", packages, split=split, count=count, resolution=resolution, seed=seed)
    origin = {"source": "Debian packages", "photographs": names, "count": count, "seed": seed}
    manifests.write_manifest(root, ["real"], {"real": origin})


def make_images(
    workdir: Path, generators: Iterable[Path | str], packages: Path | None, sizes: Mapping[str, Any]
) -> None:
    """Writes images/train, images/valid and images/test; the test takes the embedded photographs.

    Args:
        workdir: of the experiment.
        generators: run folders, or names of shipped ones.
        packages: where the photographs' packages were unpacked; None takes the embedded photographs.
        sizes: the number of images of each source by split, the "resolution", and of "native" crops by split.
    """
    samplers = list(map(Sampler, generators))
    for split in ("train", "valid", "test"):
        root, count, seed = workdir / "images" / split, sizes[split], SEEDS[split]
        done = _done(root)
        if "real" not in done:
            write_mixed(root, packages, split, sizes)
        for sampler in samplers:
            if done.get(sampler.source_name, {}).get("digest") != sampler.origin["digest"]:
                write_generated(sampler, root, count=count, seed=seed, batch_size=100)


def _done(root: Path) -> Mapping[str, Any]:
    return (manifests.read_manifest(root) or {"sources": {}})["sources"]
