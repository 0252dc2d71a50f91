"""Trained networks in the package: each set has an attribution network and the generators that it knows.

`photos32` names the attribution network of the set, `photos32/progan` one of its generators, wherever a run folder or
a file of weights is accepted. A set may have further generators, whose images the network has never seen, as
`photos32/unknown-sngan`. A set's model card states its limits; `experiments/zoo` makes the sets.
"""

import hashlib
import json
from pathlib import Path

from ganfp_jax.run.errors import UserError

ROOT = Path(__file__).parent / "zoo"
INDEX = "index.json"  # it holds {"sha256": {file name: digest}} of a set's files
NETWORK = "visnet"
BASELINES = "baselines"
UNKNOWN = "unknown-"  # how the names of generators begin that the network does not know
SUFFIX = ".safetensors"


def sets() -> list[str]:
    """Returns the names of the sets."""
    return sorted(path.parent.name for path in ROOT.glob(f"*/{INDEX}"))


def generators(name: str) -> list[str]:
    """Returns the names of the generators that the network of a set knows, such as "photos32/progan".

    Raises:
        UserError: there is no such set.
    """
    return [f"{name}/{stem}" for stem in _generators(name) if not stem.startswith(UNKNOWN)]


def unknown_generators(name: str) -> list[str]:
    """Returns the names of the generators of a set that its network does not know, such as "photos32/unknown-sngan".

    Raises:
        UserError: there is no such set.
    """
    return [f"{name}/{stem}" for stem in _generators(name) if stem.startswith(UNKNOWN)]


def baselines(name: str) -> Path:
    """Returns the file of the baselines of a set, for `ganfp_jax.baselines.read`.

    Raises:
        UserError: there is no such set, or the file is missing or damaged.
    """
    _digests(name)
    path = find(f"{name}/{BASELINES}")
    assert path is not None
    return path


def find(name: str | Path) -> Path | None:
    """Returns the checked file of a shipped network; None where none has this `name`.

    Args:
        name: the name of a set, for its attribution network, or "SET/FILE" for another of its files.

    Raises:
        UserError: the file is missing or damaged, or the set has no such file.
    """
    set_name, _, member = str(name).partition("/")
    if set_name not in sets():
        return None
    file, digests = f"{member or NETWORK}{SUFFIX}", _digests(set_name)
    if file not in digests:
        members = ", ".join(f"{set_name}/{Path(known).stem}" for known in sorted(digests))
        raise UserError(f"the shipped set {set_name} has no {member}; choose {set_name} or one of {members}")
    path = ROOT / set_name / file
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digests[file]:
        raise UserError(f"the shipped file {path} is missing or damaged; install ganfp_jax again")
    return path


def write_index(folder: Path) -> None:
    """Writes the index of the files that lie in a set's folder."""
    files = sorted(folder.glob(f"*{SUFFIX}"))
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / INDEX).write_text(json.dumps({"sha256": digests}, indent=1) + "\n")


def _generators(set_name: str) -> list[str]:
    return [stem for file in sorted(_digests(set_name)) if (stem := Path(file).stem) not in (NETWORK, BASELINES)]


def _digests(set_name: str) -> dict[str, str]:
    if set_name not in sets():
        raise UserError(f"there is no shipped set {set_name!r}; choose one of {', '.join(sets())}")
    return json.loads((ROOT / set_name / INDEX).read_text())["sha256"]
