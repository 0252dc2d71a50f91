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


def write_crops(
    root: Path,
    packages: Path,
    split: str,
    parts: Mapping[str, int],
    resolution: int,
    seed: int = SEEDS["crops"],
    more: Path | None = None,
) -> dict[str, Any]:
    """Writes `<root>/real/<part>/` of the packages' photographs; returns their origin, for a manifest.

    Args:
        root: a labelled folder.
        packages, split, resolution, seed, more: as for `photographs.write_crops`.
        parts: "native" or "reduced" -> the number of crops.
    """
    names: set[str] = set()
    for part, count in parts.items():
        of: dict[str, Any] = {"split": split, "count": count, "resolution": resolution, "seed": seed, "more": more}
        names.update(photographs.write_crops(root / "real" / part, packages, **of, native=part == "native"))
    of_all = {"photographs": sorted(names), "count": sum(parts.values()), "resolution": resolution, "seed": seed}
    return {"source": "packages", **of_all}


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
    workdir: Path,
    generators: Iterable[Path | str],
    packages: Path | None,
    sizes: Mapping[str, Any],
    more: Path | None = None,
) -> None:
    """Writes images/train, images/valid and images/test; the test takes the embedded photographs.

    Args:
        workdir: of the experiment.
        generators: run folders, or names of shipped ones.
        packages: where the photographs' packages were unpacked; None takes the embedded photographs.
        sizes: the number of generated images of each source by split, of "real" ones by split and part, and the
            "resolution".
        more: where further photographs are.
    """
    samplers = list(map(Sampler, generators))
    for split in ("train", "valid", "test"):
        root, count, seed = workdir / "images" / split, sizes[split], SEEDS[split]
        done = _done(root)
        if "real" not in done:
            if packages is None or split not in sizes["real"]:
                write_real(root, packages, split, count, sizes["resolution"])
            else:
                origin = write_crops(root, packages, split, sizes["real"][split], sizes["resolution"], more=more)
                manifests.write_manifest(root, ["real"], {"real": origin})
        for sampler in samplers:
            if done.get(sampler.source_name, {}).get("digest") != sampler.origin["digest"]:
                write_generated(sampler, root, count=count, seed=seed, batch_size=100)


def _done(root: Path) -> Mapping[str, Any]:
    return (manifests.read_manifest(root) or {"sources": {}})["sources"]
