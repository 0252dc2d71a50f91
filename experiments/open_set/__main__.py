"""Images of sources that a network does not know, by kind: which score finds them, and what they are called.

    python -m experiments.open_set --packages=DIR                         # photos32; about five minutes on two cores
    python -m experiments.open_set --packages=DIR --checkpoint=NETWORK    # any network of the same five sources
    python -m experiments.open_set --packages=DIR --unknown=DIR2          # with further kinds, such as seed/NAME/*.png
    python -m experiments.open_set --packages=DIR --photographs=DIR3      # and photographs that no training has seen
    python -m experiments.open_set --variant=tiny --out=DIR               # the same path in a minute; no packages

`--packages` are those of experiments/zoo, whose unseen photographs serve the calibration. `--unknown` has a folder a
kind, or `<kind>/<generator>/`, with images for the test; `--development` has more of them for the choice of a score.
`--photographs` is what `python -m experiments.restorers.photographs --out=DIR3` made.
Images go to `runs/open_set`, and `results.jsonl` with two figures to `--out`.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.open_set import figures, images, photographs, tables
from experiments.open_set.protocol import Network, Protocol, choose
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data import labelled
from ganfp_jax.data.unknown import open_unknown
from ganfp_jax.report.figures import png
from ganfp_jax.run import atomic

HERE = Path(__file__).parent
SIZES = {
    "": {"calibration": 1000, "test": 1000, "held_out": 200, "drawn": 200, "repeats": 200},
    "tiny": {"calibration": 24, "test": 12, "held_out": 6, "drawn": 3, "repeats": 5},
}


def measure(
    root: Path, attributor: Attributor, given: Mapping[str, Path | None], repeats: int
) -> Iterator[dict[str, Any]]:
    """Yields the rows of the protocol, the choice of a score after the development kinds and before the test's.

    Args:
        root: the folder of `images`.
        attributor: the network.
        given: "development" and "test" -> a folder with further kinds, or None.
        repeats: of the bootstraps.
    """

    def folder(name: str) -> labelled.LabelledFolder:
        return labelled.open_labelled(root / name, classes=attributor.classes)

    protocol = Protocol(Network(attributor, root / "calibration"), folder("test"), repeats)
    yield protocol.known_row()
    yield from protocol.changed_rows(folder("held_out"))
    for side in images.SIDES:
        rows = []
        for place in filter(None, (root / "unknown" / side, given[side])):
            rows += list(protocol.unknown_rows(side, open_unknown(place)))
        yield from rows
        if side == "development":
            yield choose(rows)


def main() -> None:
    """Makes the images that are missing, asks the network and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, help="where the packages were unpacked; / where they are installed")
    parser.add_argument("--checkpoint", default=images.SHIPPED, help="the network")
    parser.add_argument("--unknown", type=Path, help="further kinds for the test")
    parser.add_argument("--development", type=Path, help="further kinds for the choice of a score")
    parser.add_argument("--photographs", type=Path, help="photographs that no training has seen")
    parser.add_argument("--variant", default="", choices=list(SIZES))
    parser.add_argument("--out", type=Path, default=HERE, help="where results.jsonl goes")
    arguments = parser.parse_args()
    if not arguments.variant and arguments.packages is None:
        parser.error("give --packages, with the calibration's photographs (experiments/zoo/README.md lists them)")
    clock, sizes = time.perf_counter(), SIZES[arguments.variant]
    attributor = Attributor.load(arguments.checkpoint)
    images.check_classes(attributor.classes)
    root = Path("runs") / ("open_set" + (f"-{arguments.variant}" if arguments.variant else ""))
    images.write_known(root, sizes, arguments.packages)
    images.write_drawings(root / "unknown", sizes["drawn"])
    given = {"development": arguments.development, "test": arguments.unknown}
    found = [*measure(root, attributor, given, sizes["repeats"])]
    if arguments.photographs is not None:
        found += photographs.rows(attributor, photographs.unseen(arguments.photographs))
    rows = [{"checkpoint": arguments.checkpoint} | row for row in found]
    atomic.write_bytes(arguments.out / "results.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    for name, draw in (("verdicts", figures.draw_verdicts), ("auroc", figures.draw_auroc)):
        atomic.write_bytes(arguments.out / f"{name}.png", png(draw, {"rows": rows}))
    chosen = next(row for row in rows if row["side"] == "choice")
    print(f"{chosen['score']}, chosen of {chosen['rules']} scores by the development kinds:")
    parts = tables.scored(rows, chosen["score"]), tables.compared(rows, list(chosen["mean_auroc"]))
    said = tables.called(rows), tables.known(rows), tables.photographs(rows)
    print("", *parts, *said, "", sep="\n\n")
    print(f"{time.perf_counter() - clock:.0f} s; {arguments.out / 'results.jsonl'}")


if __name__ == "__main__":
    main()
