"""A trained attribution network, ready to name the source of images."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from jaxtyping import PyTree, UInt8

from ganfp_jax import models
from ganfp_jax.data.decode import Refused, decode_image, reason_of, rgb_of
from ganfp_jax.data.preprocess import fit
from ganfp_jax.early_stopping import StagedVoter, default_stages, make_staged_vote, vote_in_stages
from ganfp_jax.errors import UserError
from ganfp_jax.fingerprints import AttributionNetwork, Fingerprints, make_logits, read_fingerprints
from ganfp_jax.training.sharding import make_local_mesh
from ganfp_jax.views import resolve_views
from ganfp_jax.voting import RULES, Vote, Voter, make_view_voters, make_vote, vote_in_batches
from ganfp_jax.weights import load

if TYPE_CHECKING:
    from PIL import Image


@dataclasses.dataclass(frozen=True)
class Attribution:
    """The verdict on one image: the voted source, its probability, and how the views voted.

    `note` says what was done to an image of another size than the network's, such as "cropped from 300x200"; else "".
    """

    predicted: str
    confidence: float
    votes: Mapping[str, int]
    probabilities: Mapping[str, float]
    note: str = ""


class Attributor:
    """Names the source of images: `Attributor.load("runs/attribution").attribute(["photo.png"])`.

    Attributes:
        classes: the sources it knows, in the order of its logits.
        resolution: the side R of the images it takes, in pixels.
        augment: which views of the images it was trained on, one of `views.AUGMENTATIONS`.
    """

    def __init__(
        self,
        network: AttributionNetwork,
        variables: PyTree,
        classes: Sequence[str],
        resolution: int,
        augment: str = "d4",
    ) -> None:
        self.classes = tuple(classes)
        self.resolution = resolution
        self.augment = augment
        self._network = network
        self._variables = variables
        self._logits = make_logits(network)
        self._mesh = make_local_mesh()
        self._voters: dict[tuple[tuple[str, ...], str], Voter] = {}
        self._staged: dict[tuple[tuple[str, ...], tuple[int, ...]], StagedVoter] = {}

    @classmethod
    def load(cls, path: str | Path) -> "Attributor":
        """Loads an attribution network.

        Args:
            path: the run folder of configs/attribution.py or configs/fingerprint.py, or exported or imported weights;
                see `ganfp_jax.weights.load`.

        Raises:
            UserError: there is no attribution network, or none that can be read.
        """
        weights = load(path, "attribution")
        network: Any = models.create(**weights.model)
        about = weights.about
        return cls(
            network,
            jax.device_put(weights.variables),
            about["classes"],
            weights.model["resolution"],
            about.get("augment", "d4"),  # older files do not tell
        )

    @property
    def default_views(self) -> str:
        """The set of views that the network has seen in training: others would vote badly."""
        return "identity" if self.augment == "none" else self.augment

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
        early_stopping: bool | Sequence[int] = False,
    ) -> Vote:
        """Attributes images of the network's own size by a vote over views; all arrays of the result are NumPy's.

        Args:
            images: 0 to 255.
            views: a set of views or a list, as for `ganfp_jax.views.resolve_views`.
            rule: one of `ganfp_jax.voting.RULES`.
            batch_size: images a call.
            early_stopping: show an image no more views than its majority needs (`ganfp_jax.early_stopping`); numbers
              say how many views each stage shows. `votes` and `probabilities` are then those of the views shown.

        Raises:
            UserError: unknown view, view set or rule; early stopping with another rule than the majority, or with
              stages that do not add up to the views.
        """
        voter = self._voter(views, rule, early_stopping)
        if isinstance(voter, StagedVoter):
            return vote_in_stages(voter, self._variables, images, batch_size)
        return vote_in_batches(voter, self._variables, images, batch_size)

    def warm_up(
        self,
        views: str | Sequence[str] = "d4",
        rule: str = "majority",
        batch_size: int = 32,
        early_stopping: bool | Sequence[int] = False,
    ) -> None:
        """Compiles all that `vote` needs for these arguments, so that a clock can be started.

        Raises:
            UserError: as `vote`.
        """
        voter = self._voter(views, rule, early_stopping)
        blank = np.zeros((1, self.resolution, self.resolution, 3), np.uint8)
        if isinstance(voter, StagedVoter):
            voter.warm_up(self._variables, blank[0], batch_size)
        else:
            vote_in_batches(voter, self._variables, blank, batch_size)

    def view_voters(self, views: str | Sequence[str]) -> dict[str, Callable[[UInt8[np.ndarray, "n r r 3"], int], Vote]]:
        """For each view a function `(images, batch_size) -> Vote` of that view alone; the network is compiled once.

        Raises:
            UserError: unknown view or view set.
        """

        def bind(voter: Voter) -> Callable[[UInt8[np.ndarray, "n r r 3"], int], Vote]:
            return lambda images, batch_size: vote_in_batches(voter, self._variables, images, batch_size)

        return {view: bind(voter) for view, voter in make_view_voters(self._logits, views, mesh=self._mesh).items()}

    def _voter(
        self, views: str | Sequence[str], rule: str, early_stopping: bool | Sequence[int]
    ) -> Voter | StagedVoter:
        if rule not in RULES:
            raise UserError(f"unknown vote rule {rule!r}; choose from {', '.join(RULES)}")
        names = resolve_views(views)
        if early_stopping is False:
            if (names, rule) not in self._voters:
                self._voters[names, rule] = make_vote(self._logits, names, rule, mesh=self._mesh)
            return self._voters[names, rule]
        if rule != "majority":
            raise UserError(
                f"early stopping needs the rule majority, not {rule}: a mean can change until the last view; "
                "set config.rule=majority or config.early_stopping=False"
            )
        stages = default_stages(len(names)) if early_stopping is True else tuple(early_stopping)
        if (names, stages) not in self._staged:
            self._staged[names, stages] = make_staged_vote(self._logits, names, stages, mesh=self._mesh)
        return self._staged[names, stages]

    def attribute(
        self,
        images: "Sequence[str | Path | Image.Image] | UInt8[np.ndarray, 'n h w 3']",
        views: str | Sequence[str] = "d4",
        rule: str = "majority",
        resize: str = "crop",
    ) -> list[Attribution]:
        """A verdict for each image, in order.

        Args:
            images: file paths or PIL images, converted as by `data.decode.decode_image`, or a uint8 array (N, H, W, 3).
            resize: what is done with images of another size: "crop" (the centre; resizing would damage the trace),
              "area", or "refuse".

        Raises:
            UserError: an image cannot be read or does not fit; not a list of images, or an array of another kind;
              unknown view, view set or rule.
        """
        if isinstance(images, str | Path) or not hasattr(images, "__len__"):
            raise UserError(f"attribute takes a list of images, not one ({images}): put it in brackets")
        if not len(images):
            return []
        fitted, notes = zip(*(self._read(i, image, resize) for i, image in enumerate(images)), strict=True)
        vote = self.vote(np.stack(fitted), views, rule)
        return [
            Attribution(
                predicted=self.classes[k],
                confidence=float(probabilities[k]),
                votes={name: int(n) for name, n in zip(self.classes, counts, strict=True) if n},
                probabilities={name: float(p) for name, p in zip(self.classes, probabilities, strict=True)},
                note=note,
            )
            for k, probabilities, counts, note in zip(
                vote.predicted, vote.probabilities, vote.votes, notes, strict=True
            )
        ]

    def _read(self, index: int, image: "str | Path | Image.Image | np.ndarray", resize: str) -> tuple[np.ndarray, str]:
        name = str(image) if isinstance(image, str | Path) else f"image {index}"
        try:
            if isinstance(image, str | Path):
                array = decode_image(Path(image))
            elif isinstance(image, np.ndarray):
                if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
                    raise Refused(f"is {image.dtype} of shape {image.shape}, not uint8 (height, width, 3)")
                array = image
            else:
                array = rgb_of(image.copy())
            return fit(array, self.resolution, resize)
        except (Refused, OSError) as error:
            raise UserError(f"{name}: {reason_of(error)}; leave it out or convert it") from error
