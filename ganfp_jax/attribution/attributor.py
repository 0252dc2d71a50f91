"""A trained attribution network, ready to name the source of images."""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import jax
import numpy as np
from jaxtyping import PyTree, UInt8

from ganfp_jax import models
from ganfp_jax.attribution.beside import with_claims
from ganfp_jax.attribution.certainty import Calibration
from ganfp_jax.attribution.stages import StagedVoter, default_stages, make_staged_vote, vote_in_stages
from ganfp_jax.attribution.tiles import DEPENDENCE, PictureVotes, on_pictures
from ganfp_jax.attribution.typicality import Typical
from ganfp_jax.attribution.verdict import Attribution, Refusal, RefusedImagesError, Rule, attributions
from ganfp_jax.attribution.voting import Vote, Voter, check_rule, make_view_voters, make_vote, vote_in_batches
from ganfp_jax.data.decode import Picture, Refused, decoded, picture_of, reason_of
from ganfp_jax.data.listing import printable
from ganfp_jax.data.looks import Look, look
from ganfp_jax.data.preprocess import check_resize
from ganfp_jax.data.tiles import TILING, Tiling, check_windows
from ganfp_jax.data.views import check_size, resolve_views, views_of_training
from ganfp_jax.interop.load import load
from ganfp_jax.interop.weights import Weights, digest
from ganfp_jax.models.fingerprints import (
    AttributionNetwork,
    Fingerprints,
    make_logits_and_distances,
    read_fingerprints,
)
from ganfp_jax.run.errors import UserError
from ganfp_jax.training.sharding import make_local_mesh, replicated

if TYPE_CHECKING:
    from PIL import Image

    from ganfp_jax.attribution.stability import Stability


# Images a call: few and many. One image should not wait for 32, and every other size would be compiled anew.
FEW, MANY = 4, 32
ERRORS = ("raise", "collect")


def batch_size_for(count: int) -> int:
    """How many images a call of the network should take where there are `count` of them."""
    return FEW if count <= FEW else MANY


class Attributor:
    """Names the source of images: `Attributor.load("runs/attribution").attribute(["photo.png"])`.

    Attributes:
        classes: the sources it knows, in the order of its logits.
        resolution: the side R of the images it takes, in pixels.
        augment: which views of the images it was trained on, one of `views.AUGMENTATIONS`.
        knows_nobody: whether it was trained with pseudo-unknowns, so that it tells how probable it is that no source
            made an image.
        calibration: from which margin on its verdicts can be relied on; None where that was not measured.
        name: what it was loaded from; "" where it was made of a network.
    """

    def __init__(
        self,
        network: AttributionNetwork,
        variables: PyTree,
        classes: Sequence[str],
        resolution: int,
        *,
        augment: str = "d4",
        knows_nobody: bool = False,
        calibration: Calibration | None = None,
    ) -> None:
        self.classes = tuple(classes)
        self.resolution = resolution
        self.augment = augment
        self.knows_nobody = knows_nobody
        self.calibration = calibration
        self.name = ""
        self._described: Weights | None = None
        self._network = network
        self._network_fn = make_logits_and_distances(network)
        self._mesh = make_local_mesh() if jax.local_device_count() > 1 else None  # a call of one device costs less
        self._variables = jax.device_put(variables, replicated(self._mesh) if self._mesh else None)
        self._voters: dict[tuple[Any, ...], Voter | StagedVoter] = {}  # by views, rule and stages

    @classmethod
    def load(cls, path: str | Path, *, calibrated: bool = True) -> "Attributor":
        """Loads an attribution network.

        Args:
            path: the run folder of configs/attribution.py or configs/fingerprint.py, or exported or imported weights;
                see `ganfp_jax.interop.load.load`.
            calibrated: False leaves out its calibration, sound or not.

        Raises:
            UserError: there is no attribution network, or none that can be read.
        """
        return cls.of(load(path, "attribution", calibrated=calibrated), path)

    @classmethod
    def of(cls, weights: Weights, path: str | Path) -> "Attributor":
        """Makes it of the weights of an attribution network, which were loaded from `path`.

        Raises:
            UserError: their calibration is damaged or of other weights.
        """
        network: Any = models.create(**weights.model)
        about = weights.about
        attributor = cls(
            network,
            weights.variables,
            about["classes"],
            weights.model["resolution"],
            augment=about.get("augment", "d4"),  # older files do not tell
            # Of enrolled sources there were no images in the training, so their logits say nothing of nobody's.
            knows_nobody=about.get("nobody", False) and "enrolled" not in about,
            calibration=_calibration(path, weights),
        )
        attributor.name = str(path)
        attributor._described = dataclasses.replace(weights, variables={})
        return attributor

    @classmethod
    def from_pretrained(cls, name: str | Path, **settings: Any) -> "Attributor":
        """Loads a network that others share, from a folder or from the Hugging Face hub.

        Nothing is fetched where a folder has this name. The hub needs `pip install 'ganfp_jax[hub]'`.

        Args:
            name: a folder of `save_pretrained` or configs/export_weights.py:folder; or OWNER/NAME on the hub.
            settings: of the hub, by `huggingface_hub.ModelHubMixin.from_pretrained`: revision, token, cache_dir,
                local_files_only (True asks nobody), force_download.

        Raises:
            UserError: there is no such folder and no such name, the hub cannot be reached, or what it has is no
                attribution network.
        """
        from ganfp_jax.attribution import pretrained

        return pretrained.load(name, **settings)

    def save_pretrained(
        self,
        folder: str | Path,
        *,
        license: str = "unknown",
        metrics: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes a folder that `from_pretrained` loads: model.safetensors, config.json, README.md (a model card).

        Args:
            folder: made if need be; its name is that of the network on the card.
            license: of the weights, by its identifier on the hub, such as "apache-2.0".
            metrics: for the card, the metrics.json of configs/evaluate.py for this network.

        Raises:
            UserError: the network was not loaded, the license is no identifier, the metrics are of another network,
                or the folder cannot be written to.
        """
        from ganfp_jax.attribution import pretrained

        pretrained.save(self, folder, license, metrics)

    def push_to_hub(
        self,
        name: str,
        *,
        license: str = "unknown",
        metrics: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> str:
        """Sends such a folder to the Hugging Face hub; returns its address there.

        Args:
            name: OWNER/NAME.
            license, metrics: as for `save_pretrained`.
            settings: of `huggingface_hub.ModelHubMixin.push_to_hub`: private, token, branch, commit_message.

        Raises:
            UserError: as `save_pretrained`; the hub cannot be reached, or does not take it.
        """
        from ganfp_jax.attribution import pretrained

        return pretrained.push(self, name, license, metrics, **settings)

    @property
    def weights(self) -> Weights:
        """Its weights with all that is needed to use them.

        Raises:
            UserError: it was not loaded but made of a network, whose settings it does not know.
        """
        if self._described is None:
            raise UserError("this network was not loaded, so its settings are not known; use Attributor.load")
        return dataclasses.replace(self._described, variables=jax.device_get(self._variables))

    @property
    def default_views(self) -> str:
        """The set of views that the network has seen in training: others would vote badly."""
        return views_of_training(self.augment)

    @property
    def digest(self) -> str:
        """Of its weights, as `ganfp_jax.interop.weights.digest` has it: which network this is."""
        return digest(jax.device_get(self._variables))

    def calibration_for(self, views: str | Sequence[str], rule: str) -> Calibration | None:
        """The calibration, where it is of a vote of these views by this rule; else None, and nothing is "unsure".

        Raises:
            UserError: unknown view or view set.
        """
        fits = self.calibration is not None and self.calibration.is_for(resolve_views(views), rule)
        return self.calibration if fits else None

    def rules_for(self, views: str | Sequence[str], rule: str) -> tuple[Rule | Typical, ...]:
        """The rules of its verdicts on a vote of these views by this rule: those of the calibration, or none.

        Raises:
            UserError: unknown view or view set.
        """
        calibration = self.calibration_for(views, rule)
        return () if calibration is None else calibration.rules(self.classes)

    def fingerprints(self, images: UInt8[np.ndarray, "n r r 3"]) -> Fingerprints:
        """Takes the fingerprints of images of the network's own size, and those of the sources it knows.

        Raises:
            UserError: no images, or a network that gives NaN.
        """
        return read_fingerprints(self._network, self._variables, images)

    def vote(
        self,
        images: UInt8[np.ndarray, "n r r 3"],
        views: str | Sequence[str] = "",
        rule: str = "majority",
        batch_size: int = 32,
        early_stopping: bool | Sequence[int] = False,
    ) -> Vote:
        """Attributes images of the network's own size by a vote over views; all arrays of the result are NumPy's.

        Args:
            images: 0 to 255.
            views: a set of views or a list, as for `ganfp_jax.data.views.resolve_views`; "" for `default_views`.
            rule: one of `ganfp_jax.attribution.voting.RULES`.
            batch_size: images a call.
            early_stopping: show an image no more views than its majority needs (`attribution.stages`); numbers
              say how many views each stage shows. `votes` and `probabilities` are then those of the views shown.

        Raises:
            UserError: unknown view, view set or rule; early stopping with another rule than the majority, or with
              stages that do not add up to the views.
        """
        voter = self._voter(views, rule, early_stopping)
        show = vote_in_stages if isinstance(voter, StagedVoter) else vote_in_batches
        vote = show(voter, self._variables, images, batch_size)  # type: ignore[arg-type]
        return vote if self.knows_nobody else vote._replace(nobody=np.full_like(vote.nobody, np.nan))

    def check_vote(
        self, views: str | Sequence[str] = "", rule: str = "majority", early_stopping: bool | Sequence[int] = False
    ) -> None:
        """Raises UserError as `vote` would for these arguments; costs next to nothing."""
        self._voter(views, rule, early_stopping)

    def warm_up(
        self,
        views: str | Sequence[str] = "",
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

        names = self._views(views)
        return {view: bind(voter) for view, voter in make_view_voters(self._network_fn, names, mesh=self._mesh).items()}

    def _views(self, views: str | Sequence[str]) -> tuple[str, ...]:
        """The views by name, those of the training where none are given.

        Raises:
            UserError: unknown view or view set, or one that the network's images are too small for.
        """
        names = resolve_views(views or self.default_views)
        check_size(names, self.resolution)
        return names

    def _voter(
        self, views: str | Sequence[str], rule: str, early_stopping: bool | Sequence[int]
    ) -> Voter | StagedVoter:
        """The compiled vote of these views by this rule, made once; all that `Attributor` says of images is its."""
        check_rule(rule)
        names = self._views(views)
        if early_stopping is not False and rule != "majority":
            raise UserError(
                f"early stopping needs the rule majority, not {rule}: a mean can change until the last view; "
                "set config.rule=majority or config.early_stopping=False"
            )
        stages = default_stages(len(names)) if early_stopping is True else tuple(early_stopping or ())
        key = (names, rule, early_stopping is not False, stages)
        if key not in self._voters:
            self._voters[key] = (
                make_vote(self._network_fn, names, rule, mesh=self._mesh)
                if early_stopping is False
                else make_staged_vote(self._network_fn, names, stages, mesh=self._mesh)
            )
        return self._voters[key]

    def dependence(self, views: str | Sequence[str], rule: str) -> float:
        """By how much tiles of one picture depend on each other in such a vote, 0 to 1, as it was learned.

        Raises:
            UserError: unknown view or view set.
        """
        calibration = self.calibration_for(views, rule)
        learned = None if calibration is None else calibration.dependence
        return DEPENDENCE if learned is None else learned

    def look_at(
        self,
        looks: Sequence[Look],
        views: str | Sequence[str] = "",
        rule: str = "majority",
        batch_size: int = 0,
        early_stopping: bool | Sequence[int] = False,
    ) -> PictureVotes:
        """Votes on pictures by what was chosen of each; the tiles of all of them share the calls of the network.

        Args:
            looks: of one or more pictures, at tiles of this resolution.
            views, rule, early_stopping: as for `vote`.
            batch_size: as for `attribute`.

        Raises:
            UserError: as `vote`.
        """
        names, images = self._views(views), np.concatenate([look.tiles for look in looks])
        vote = self.vote(images, names, rule, batch_size or batch_size_for(len(images)), early_stopping)
        return on_pictures(looks, vote, self.classes, self.dependence(names, rule))

    def judge(
        self, looks: Sequence[Look], views: str | Sequence[str] = "", rule: str = "majority", batch_size: int = 0
    ) -> list[Attribution]:
        """The verdicts on any number of pictures; arguments and errors are those of `look_at`."""
        if not looks:
            return []
        names = self._views(views)
        vote, tiles, _, notes = self.look_at(looks, names, rule, batch_size)
        verdicts = attributions(vote, self.rules_for(names, rule), self.classes, names, notes, tiles)
        return [with_claims(verdict, look.claims) for verdict, look in zip(verdicts, looks, strict=True)]

    @overload
    def attribute(
        self,
        images: "Sequence[str | os.PathLike[str] | Image.Image | np.ndarray] | UInt8[np.ndarray, 'n h w 3']",
        views: str | Sequence[str] = "",
        rule: str = "majority",
        resize: str = "crop",
        batch_size: int = 0,
        *,
        tiles: int = TILING.tiles,
        min_luma_std: float = TILING.min_luma_std,
        errors: Literal["raise"] = "raise",
    ) -> list[Attribution]: ...

    @overload
    def attribute(
        self,
        images: "Sequence[str | os.PathLike[str] | Image.Image | np.ndarray] | UInt8[np.ndarray, 'n h w 3']",
        views: str | Sequence[str] = "",
        rule: str = "majority",
        resize: str = "crop",
        batch_size: int = 0,
        *,
        tiles: int = TILING.tiles,
        min_luma_std: float = TILING.min_luma_std,
        errors: Literal["collect"],
    ) -> list[Attribution | Refusal]: ...

    def attribute(
        self,
        images: "Sequence[str | os.PathLike[str] | Image.Image | np.ndarray] | UInt8[np.ndarray, 'n h w 3']",
        views: str | Sequence[str] = "",
        rule: str = "majority",
        resize: str = "crop",
        batch_size: int = 0,
        *,
        tiles: int = TILING.tiles,
        min_luma_std: float = TILING.min_luma_std,
        errors: str = "raise",
    ) -> list[Attribution] | list[Attribution | Refusal]:
        """A verdict for each image, in order.

        Args:
            images: file paths, PIL images, uint8 arrays (H, W, 3) or a mixture, converted as by
                `data.decode.decode_image`; or one array (N, H, W, 3).
            views, rule: of the vote, as for `vote`.
            resize: what is done with images of another size: "crop" (tiles, pixel for pixel; resizing would damage the
              trace), "area", or "refuse".
            batch_size: tiles a call of the network; 0 for 4 where there are no more, else 32. A size is compiled once.
            tiles: at how many tiles of a larger picture to look at most (`data.tiles`); 0 for its centre alone.
            min_luma_std: the texture below which a tile is flat, as for `data.tiles.Tiling`.
            errors: "raise" where an image cannot be used; or "collect", which has a `Refusal` in its place.

        Raises:
            RefusedImagesError: some images cannot be used; it names them and has the verdicts on the others.
            UserError: not a list of images; unknown view, view set, rule or value of `resize` or `errors`; tiles or
              texture below 0.
        """
        if isinstance(images, str | os.PathLike) or not hasattr(images, "__len__"):
            raise UserError(f"attribute takes a list of images, not one ({images}): put it in brackets")
        if errors not in ERRORS:
            raise UserError(f"errors is {errors!r}; choose from {', '.join(ERRORS)}")
        check_resize(resize)
        self.check_vote(views, rule)
        tiling = Tiling(tiles, min_luma_std)
        tiling.check()
        shown = functools.partial(look, resolution=self.resolution, resize=resize, tiling=tiling)
        read = [_read(i, image, shown) for i, image in enumerate(images)]
        usable = [entry for entry in read if not isinstance(entry, Refusal)]
        verdicts = iter(self.judge(usable, views, rule, batch_size))
        found = [entry if isinstance(entry, Refusal) else next(verdicts) for entry in read]
        if errors == "raise" and len(usable) < len(read):
            raise RefusedImagesError(found)
        return found

    def evidence(
        self,
        image: str | os.PathLike[str],
        views: str | Sequence[str] = "",
        rule: str = "majority",
        resize: str = "crop",
        *,
        tiles: int = TILING.tiles,
        min_luma_std: float = TILING.min_luma_std,
        map_windows: int = 512,
        stability: bool = False,
    ) -> str:
        """The page of evidence on one image, as `--config.evidence` of configs/attribute.py writes it: one HTML file.

        Args:
            image: a file.
            views, rule, resize, tiles, min_luma_std: as for `attribute`.
            map_windows: the map of sources has at most so many windows, 1 or more.
            stability: whether it also shows how the verdict stands up to processing, at the cost of `stability`.

        Raises:
            RefusedImagesError: the image cannot be used.
            UserError: as `attribute`.
        """
        from ganfp_jax.attribution import evidence

        tiling = Tiling(tiles, min_luma_std, map_windows)
        tiling.check()
        check_windows(map_windows)
        check_resize(resize)
        self.check_vote(views, rule)
        return evidence.page(self, image, views, rule, resize, tiling, stability)

    def stability(
        self,
        image: "str | os.PathLike[str] | Image.Image | np.ndarray",
        views: str | Sequence[str] = "",
        rule: str = "majority",
        resize: str = "crop",
        *,
        tiles: int = TILING.tiles,
        min_luma_std: float = TILING.min_luma_std,
    ) -> "Stability | None":
        """How the verdict on one image stands up to JPEG, rescaling, cropping and blur; it costs about 32 verdicts.

        Args:
            image: a file, PIL image or uint8 array (H, W, 3).
            views, rule, resize, tiles, min_luma_std: as for `attribute`.

        Returns:
            The votes on all processed forms (`attribution.stability`); None where there is nothing to see in the
            picture, or in the middle of a large one.

        Raises:
            RefusedImagesError: the image cannot be used.
            UserError: as `attribute`.
        """
        from ganfp_jax.attribution import stability

        tiling = Tiling(tiles, min_luma_std)
        tiling.check()
        check_resize(resize)
        self.check_vote(views, rule)
        made = functools.partial(stability.forms, resolution=self.resolution, resize=resize, tiling=tiling)
        forms = _read(0, image, made)
        if isinstance(forms, Refusal):
            raise RefusedImagesError([forms])
        return stability.judged(self, forms, views, rule)


Seen = TypeVar("Seen")


def _read(index: int, image: Any, see: Callable[[Picture], Seen]) -> Seen | Refusal:
    """What there is to see in an image of any kind, or why there is nothing."""
    is_file = isinstance(image, str | os.PathLike)
    try:
        if not is_file:
            return see(_picture(image))
        with decoded(image) as picture:
            return see(picture)
    except Refused as error:
        return Refusal(printable(os.fsdecode(image)) if is_file else f"image {index}", str(error))


def _picture(image: Any) -> Picture:
    """A PIL image or an array, JAX's and others' too, as RGB.

    Raises:
        Refused: they cannot be read, or are none.
    """
    if hasattr(image, "load") and not isinstance(image, np.ndarray):  # which PIL images have
        try:
            return picture_of(image.copy())
        except Exception as error:  # decoders raise whatever a damaged file makes them raise
            raise Refused(reason_of(error)) from error
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] != 3:
        raise Refused(f"is {array.dtype} of shape {array.shape}, not uint8 (height, width, 3)")
    return Picture(array, ())


def _calibration(path: str | Path, weights: Weights) -> Calibration | None:
    if "calibration" not in weights.about:
        return None
    try:
        calibration = Calibration.from_dict(weights.about["calibration"])
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if calibration.digest != digest(weights.variables):
        raise UserError(f"{path}: its calibration is of other weights; calibrate it again with configs/calibrate.py")
    known = () if calibration.typicality is None else calibration.typicality.known
    if known and [of.source for of in known] != list(weights.about["classes"]):
        raise UserError(f"{path}: its calibration is of other sources; calibrate it again with configs/calibrate.py")
    return calibration
