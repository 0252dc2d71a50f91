"""A trained attribution network, ready to name the source of images."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Array, PyTree, UInt8

from ganfp_jax import models
from ganfp_jax.data.decode import Refused, decode_image
from ganfp_jax.data.preprocess import fit
from ganfp_jax.errors import UserError
from ganfp_jax.fingerprints import AttributionNetwork, Fingerprints, read_fingerprints
from ganfp_jax.run_folder import read_config
from ganfp_jax.training import checkpoint
from ganfp_jax.training.sharding import make_mesh
from ganfp_jax.views import resolve_views
from ganfp_jax.voting import RULES, Vote, Voter, make_vote, vote_in_batches

if TYPE_CHECKING:
    from PIL import Image

PROGRAMS = ("attribution", "fingerprint")  # the trainings whose networks attribute images


@dataclasses.dataclass(frozen=True)
class Attribution:
    """The verdict on one image: the voted source, its probability, and how the views voted."""

    predicted: str
    confidence: float
    votes: Mapping[str, int]
    probabilities: Mapping[str, float]


class Attributor:
    """Names the source of images: `Attributor.load("runs/attribution").attribute(["photo.png"])`.

    Attributes:
        classes: the sources it knows, in the order of its logits.
        resolution: the side R of the images it takes, in pixels.
    """

    def __init__(self, network: AttributionNetwork, variables: PyTree, classes: Sequence[str], resolution: int) -> None:
        self.classes = tuple(classes)
        self.resolution = resolution
        self._network = network
        self._variables = variables
        self._mesh = make_mesh()
        self._voters: dict[tuple[tuple[str, ...], str], Voter] = {}

    def _logits(self, variables: PyTree, images: Array) -> Any:
        return self._network.apply(variables, images, method="fingerprints_and_logits")[1]

    @classmethod
    def load(cls, path: str | Path) -> "Attributor":
        """Loads the newest checkpoint of a run folder of configs/attribution.py or configs/fingerprint.py.

        Raises:
            UserError: it is no such folder, or has no readable checkpoint.
        """
        run_folder = Path(path)
        config = read_config(run_folder)
        if config.get("program") not in PROGRAMS:
            what = config.get("program") or config.get("job")
            raise UserError(
                f"{path} holds no attribution network (but {what!r}); give the run folder of configs/attribution.py "
                "or configs/fingerprint.py"
            )
        _, state, metadata = checkpoint.load(run_folder)
        network: Any = models.create(
            **config["model"], resolution=config["resolution"], num_classes=len(metadata["classes"])
        )
        # Where a running average was kept, it is the published network.
        params = state.get("ema_params") or state["network"]["params"]
        return cls(network, {"params": params}, metadata["classes"], config["resolution"])

    def fingerprints(self, images: UInt8[np.ndarray, "n r r 3"]) -> Fingerprints:
        """Takes the fingerprints of images of the network's own size, and those of the sources it knows.

        Raises:
            UserError: no images, or a network that gives NaN.
        """
        return read_fingerprints(self._network, self._variables, images)

    def vote(
        self,
        images: UInt8[np.ndarray, "n r r 3"],
        views: str | Sequence[str] = "d4",
        rule: str = "majority",
        batch_size: int = 32,
    ) -> Vote:
        """Attributes images of the network's own size by a vote over views; all arrays of the result are NumPy's.

        Raises:
            UserError: unknown view, view set or rule.
        """
        if rule not in RULES:
            raise UserError(f"unknown vote rule {rule!r}; choose from {', '.join(RULES)}")
        names = resolve_views(views)
        if (names, rule) not in self._voters:
            self._voters[names, rule] = make_vote(self._logits, names, rule, mesh=self._mesh)
        return vote_in_batches(self._voters[names, rule], self._variables, images, batch_size)

    def attribute(
        self,
        images: "Sequence[str | Path | Image.Image] | UInt8[np.ndarray, 'n h w 3']",
        views: str | Sequence[str] = "d4",
        rule: str = "majority",
        resize: str = "crop",
    ) -> list[Attribution]:
        """A verdict for each image, in order.

        Args:
            images: file paths, PIL images or a uint8 array (N, H, W, 3).
            resize: what is done with images of another size: "crop" (the centre; resizing would damage the trace),
              "area", or "refuse".

        Raises:
            UserError: an image cannot be read or does not fit; unknown view, view set or rule.
        """
        vote = self.vote(np.stack([self._read(i, image, resize) for i, image in enumerate(images)]), views, rule)
        return [
            Attribution(
                predicted=self.classes[k],
                confidence=float(probabilities[k]),
                votes={name: int(n) for name, n in zip(self.classes, counts, strict=True) if n},
                probabilities={name: float(p) for name, p in zip(self.classes, probabilities, strict=True)},
            )
            for k, probabilities, counts in zip(vote.predicted, vote.probabilities, vote.votes, strict=True)
        ]

    def _read(self, index: int, image: "str | Path | Image.Image | np.ndarray", resize: str) -> np.ndarray:
        name = str(image) if isinstance(image, str | Path) else f"image {index}"
        try:
            if isinstance(image, str | Path):
                array = decode_image(Path(image))
            elif isinstance(image, np.ndarray):
                array = image
            else:
                array = np.asarray(image.convert("RGB"))
            return fit(array, self.resolution, resize)[0]
        except Refused as reason:
            raise UserError(f"{name}: {reason}; leave it out or convert it") from reason
