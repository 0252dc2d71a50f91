"""Red team: what does it cost to remove the fingerprint of a generator, or to forge one on a photograph?

    python -m experiments.red_team                           # minutes on two quiet CPU cores
    python -m experiments.red_team --transfer=RUN            # what another network says of the same images, too
    python -m experiments.red_team --variant=tiny --out=DIR  # the same path in seconds; its numbers mean nothing

The shipped network photos32 is attacked with its calibration. *Removal*: images of the four shipped generators are to
pass for real. *Forging*: crops of the nine embedded photographs are to pass for a generator's, one of the four each.

- *Blind*: processing, denoisers, and a denoising network of others (`attacks.py`).
- *Average fingerprint*: the mean high-frequency residual of other images of the generator, taken away or added.
- *Gradient*: projected gradient descent on the network, over all views of the vote (`gradient.py`); once so that the
  target beats the other sources, and once so that it beats "nobody" as well. Random signs of that size are the control.

`RUN` is any network of the same five sources, such as runs/open_set-trainings/trained/pseudo-unknowns of
`experiments.open_set.trainings`. It writes results.jsonl and red_team.png and prints the tables. Nothing is tuned here.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.red_team import attacks, gradient, measure
from experiments.red_team.figure import draw_costs
from experiments.red_team.tables import table
from ganfp_jax import models
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.data import sources
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.interop import shipped
from ganfp_jax.interop.load import load
from ganfp_jax.models.fingerprints import make_logits_and_distances
from ganfp_jax.report import figures
from ganfp_jax.run import atomic

HERE = Path(__file__).parent
SET, SIDE, REAL = "photos32", 32, "real"
SEEDS = {"victims": 2201, "fingerprint": 2202}
AVERAGE = (1, 2, 4, 8)  # root mean square of what is added, in levels
AIMS = {False: "gradient, target above the others", True: "gradient, target above nobody too"}


class Size(NamedTuple):
    """How much is made and measured."""

    generated: int
    """Images of each generator; there are as many photographs as of all four."""
    fingerprint: int
    """Images of each generator that its average fingerprint is estimated on."""
    budgets: tuple[int, ...]
    """Levels by which a gradient attack may change a value."""
    steps: int


SIZES = {"": Size(25, 400, (1, 2, 4, 8), 20), "tiny": Size(2, 8, (1, 4), 2)}


def generated(count: int, seed: int) -> dict[str, np.ndarray]:
    """So many images of every shipped generator, by the name of the source."""
    samplers = map(Sampler, shipped.generators(SET))
    return {sampler.source_name: np.concatenate([*sampler.stream(seed, count, 25)]) for sampler in samplers}


def victims(count: int) -> list[measure.Victims]:
    """Images of all generators, to be called real, and as many crops of photographs, to be called one of them."""
    fakes = generated(count, SEEDS["victims"])
    names = [name for name in fakes for _ in range(count)]
    crops = sources.photos(split="all", count=len(names), resolution=SIDE, seed=SEEDS["victims"])
    targets = [[*fakes][number % len(fakes)] for number in range(len(names))]
    photographs = np.unique(crops.origins, return_inverse=True)[1]
    real = [REAL] * len(names)
    return [
        measure.Victims("removal", np.concatenate([*fakes.values()]), names, real, np.arange(len(names))),
        measure.Victims("forging", np.asarray(crops.images), real, targets, photographs),
    ]


Attacked = tuple[Mapping[str, Any], np.ndarray]
"""What the attack is, and the images that it has made of the victims."""


def blind_attacks(of: measure.Victims) -> Iterator[Attacked]:
    """The victims as they are and after all blind attacks."""
    yield {"attack": "none", "strength": ""}, of.images
    for blind in attacks.blind():
        yield {"attack": blind.attack, "strength": blind.strength}, blind.change(of.images)


def average_attacks(of: measure.Victims, patterns: Mapping[str, np.ndarray]) -> Iterator[Attacked]:
    """The victims without their generator's average fingerprint, or with that of the generator aimed at."""
    forging = of.goal == "forging"
    pattern = np.stack([patterns[name] for name in (of.aims if forging else of.own)])
    for levels in AVERAGE:
        changed = attacks.add(of.images, pattern, levels if forging else -levels)
        yield {"attack": "average fingerprint", "strength": str(levels)}, changed


def gradient_attacks(of: measure.Victims, size: Size) -> Iterator[Attacked]:
    """The victims after random signs and after gradient attacks, at each budget."""
    weights = load(SET, "attribution")
    network_fn = make_logits_and_distances(models.create(**weights.model))
    targets = np.array([weights.about["classes"].index(name) for name in of.aims])
    for budget in size.budgets:
        yield {"attack": "random signs", "strength": str(budget)}, attacks.random_signs(of.images, budget)
    for nobody, words in AIMS.items():
        attack = gradient.make_attack(network_fn, weights.about["augment"], steps=size.steps, nobody=nobody)
        for budget in size.budgets:
            changed = attack(weights.variables, of.images, targets, budget)
            yield {"attack": words, "strength": str(budget)}, changed


def rows(size: Size, networks: Mapping[str, Attributor]) -> Iterator[dict[str, Any]]:
    """All results, attack by attack."""
    seen = generated(size.fingerprint, SEEDS["fingerprint"])
    patterns = {name: attacks.average_fingerprint(images) for name, images in seen.items()}
    for of in victims(size.generated):
        for made in (blind_attacks(of), average_attacks(of, patterns), gradient_attacks(of, size)):
            for attack, changed in made:
                print(f"{of.goal}: {attack['attack']} {attack['strength']}".rstrip(), flush=True)
                yield from measure.rows(attack, of, changed, networks)


def main() -> None:
    """Attacks and measures, and writes and prints the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="", choices=list(SIZES))
    parser.add_argument("--transfer", default="", metavar="RUN", help="another network of the same sources")
    parser.add_argument("--out", type=Path, default=HERE, help="where the results go (default: beside this file)")
    args = parser.parse_args()
    networks = {SET: Attributor.load(SET)}
    if args.transfer:
        networks["transfer"] = Attributor.load(args.transfer)
    results = list(rows(SIZES[args.variant], networks))
    args.out.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(args.out / "results.jsonl", "".join(json.dumps(row) + "\n" for row in results).encode())
    atomic.write_bytes(args.out / "red_team.png", figures.png(draw_costs, {"rows": results}))
    print(table(results))


if __name__ == "__main__":
    main()
