"""The schemas of the pages' results: plain data that the jobs write as JSON, and a check for missing keys.

An accuracy and the ends of its interval are shares, 0 to 1. K is the number of sources. `check` requires every key that
is not `NotRequired`.
"""

import os
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, NotRequired, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

import numpy as np

Picture = str | os.PathLike[str] | bytes
"""The path or the content of a PNG file."""
Pixels = np.ndarray
"""uint8 (h, w, 3)."""


class Share(TypedDict):
    """The share of right answers for some images."""

    accuracy: float
    correct: int
    total: int
    ci95: Sequence[float]


class Block(Share):
    """The answers of one method for the images of all sources."""

    per_class: Mapping[str, Share]
    confusion: Sequence[Sequence[int]]
    """Counts; rows target, columns predicted."""
    classes: Sequence[str]
    """The names in the order of `confusion`."""


class Measure(TypedDict):
    """A number with its interval; None where it could not be measured."""

    value: float | None
    ci95: NotRequired[Sequence[float] | None]


class Sample(TypedDict):
    """Some images of one source as one picture."""

    picture: Picture
    caption: str


class ViewSeen(TypedDict):
    """A view of an image, and the class that it named: "" where the view was not classified."""

    name: str
    called: str
    picture: Picture


class Mark(TypedDict):
    """A source on a map, or nothing to see."""

    mark: Picture
    name: str
    share: str
    """Of the picture's area, in words."""


class WholeMap(TypedDict):
    """The map of a picture: which source was found where."""

    picture: Picture
    legend: list[Mark]


class Wrong(TypedDict):
    """An image with a wrong answer of the vote, the single view or both."""

    picture: Picture
    name: str
    target: str
    single: str
    voted: str
    votes: Mapping[str, int]
    confidence: float
    views: NotRequired[list[ViewSeen]]
    map: NotRequired[WholeMap]
    """Of a picture that is larger than the network."""


class Embedding(TypedDict):
    """A map of N image fingerprints."""

    points: Any
    """(N, 2)."""
    labels: Any
    """(N,): indices into the classes that are shown."""
    wrong: Any
    """(N,) of bool."""


class Response(TypedDict):
    """An image, its fingerprint and its responses to K sources."""

    image: Pixels
    fingerprint: Pixels
    responses: Sequence[Pixels]
    logits: Sequence[float]
    target: str
    predicted: str
    name: str


class Fingerprints(TypedDict):
    """The part of a page on fingerprints."""

    classes: Sequence[str]
    """Those with responses, in the order of these."""
    samples: list[Response]
    models: Sequence[Pixels]
    embedding: Embedding | None
    mapped: Sequence[str]
    """The names of the labels of the embedding."""
    scales: Mapping[str, str]
    """Kind of picture -> the conversion of its values to colours, in words."""


class Page(TypedDict):
    """The facts that every page states about itself."""

    title: str
    command: str
    created: str
    config: Mapping[str, Any]
    versions: Mapping[str, str]
    devices: str
    classes: Sequence[str]
    """K names in the order of every matrix and list."""


class Baseline(TypedDict):
    """The result of one method under one perturbation."""

    name: str
    condition: str
    metrics: Block


class Evaluation(TypedDict):
    """A network and a vote on the images of one perturbation."""

    network: str
    condition: str
    count: int | None
    """Test images of each source; None where they differ."""
    views_name: str
    metrics: Any
    """The content of metrics.json: `Block`, and the numbers of the vote."""
    per_photograph: Mapping[str, Share]


class Stage(TypedDict):
    """A part of a job, and the seconds that it took."""

    name: str
    seconds: float


class Unknown(TypedDict):
    """The part of a page on images of unknown sources, by kind of source."""

    metrics: Mapping[str, Any]
    """The section `unknown` of metrics.json, as `attribution.open_set.measure` gives it."""
    curves: Mapping[str, Any]
    """Kind -> score -> {"fpr", "ccr"}."""
    samples: Mapping[str, Sample]
    """Of each kind."""


class EvaluationPage(Page):
    """The page of `evaluate` and of a study. `evaluations` may not be empty."""

    counts: Mapping[str, Mapping[str, int]]
    """"train" and "test" -> class -> images."""
    photographs: Mapping[str, Sequence[str]]
    """"train" and "test" -> the photographs that the real images are crops of."""
    main: Mapping[str, Any]
    """{"network", "condition", "views", "rule", "count"}: the evaluation of the headline."""
    evaluations: list[Evaluation]
    baselines: list[Baseline]
    """Each has a `count` too."""
    samples: Mapping[str, Sample]
    wrong: list[Wrong]
    stages: list[Stage]
    method: NotRequired[str]
    """Sentences for the paragraph on the method, such as resolution and reduction."""
    steps: NotRequired[Mapping[str, int]]
    """Network -> training steps."""
    fingerprints: NotRequired[Fingerprints | None]
    file: NotRequired[str]
    """The file with all numbers; of more than `few.MOST` sources the page shows some."""
    immunised: NotRequired[str]
    """The perturbations of the immunised baselines in words, such as "as the networks"."""
    unknown: NotRequired[Unknown | None]
    warnings: NotRequired[Sequence[str]]
    """Sentences on facts other than pixels that may give the sources away."""


class Condition(TypedDict):
    """The votes of an ablation on the images of one perturbation, as in ablation.json."""

    condition: str
    single_view: Any
    rows: Sequence[Mapping[str, Any]]
    doubt: Sequence[Mapping[str, Any]]


class AblationPage(Page):
    """The page of `ablation`. Wrong answers are those of the main vote."""

    conditions: list[Condition]
    main: Mapping[str, Any]
    """{"views", "rule", "holm_p", "metrics"}: the vote that the page shows more of, on the images of the first
    condition."""
    baselines: list[Baseline]
    samples: Mapping[str, Sample]
    wrong: list[Wrong]
    fingerprints: Fingerprints | None
    method: str
    """Sentences on the method."""
    immunised: str
    """The perturbations of the immunised baselines, in the words of `wording.immunised_by`."""
    photographs: bool
    """Whether the images of one photograph are known."""


class Network(TypedDict):
    """A network of `robustness`, and its training, where that is known."""

    name: str
    checkpoint: str
    training: Mapping[str, Any] | None


class RobustnessPage(Page):
    """The page of `robustness`: the content of its metrics.json, and more."""

    views: Sequence[str]
    rule: str
    total: int
    per_source: Sequence[int]
    networks: list[Network]
    attacks: Sequence[Mapping[str, Any]]
    """{"attack", "family", "psnr"} of every perturbation, that of the headline last."""
    rows: Sequence[Mapping[str, Any]]
    baselines: list[Baseline]
    pictures: Mapping[str, Pixels]
    """The same images under each perturbation, shown pixel by pixel."""
    sentences: Sequence[str]
    """Further sentences on the method."""
    plain_command: str
    """The command that trains the plain network, where there is none; else ""."""
    immunised: str
    """As in `AblationPage`."""


class Space(TypedDict):
    """How far one feature space separates the sources; `control` is that of one real class split in halves,
    `photographs` of its photographs in the place of sources. Any of them may be None."""

    n: int | None
    dimension: int | None
    frechet_ratio: Measure | None
    verification: Mapping[str, Any] | None
    """{"auc": `Measure`, "eer": `Measure`, "roc": {"false_positive": [...], "true_positive": [...]}}."""
    control: Mapping[str, Any] | None
    photographs: Mapping[str, Any] | None


class Profiles(TypedDict):
    """Class -> log10 power at each of `frequencies`, in cycles per pixel."""

    images: Mapping[str, Sequence[float]]
    fingerprints: Mapping[str, Sequence[float]] | None
    frequencies: Sequence[float]


class Spectra(TypedDict):
    """Class -> (R, R) of log10 power, zero frequency in the middle; None where fingerprints are no images."""

    images: Mapping[str, np.ndarray]
    fingerprints: Mapping[str, np.ndarray] | None
    profiles: Profiles


class FingerprintPage(Page):
    """The page of `inspect_fingerprints`, which shows K sources."""

    network: str
    """The kind of network, as the subject of "named the source of ... images"."""
    metrics: Block
    """The answers for the test images of all sources."""
    interactions: Any
    """(K, K): the mean logit of the images of a source (row) for each source (column)."""
    samples: list[Response]
    """In the order of the page; the figure of the responses takes the first of each source."""
    models: Sequence[Pixels]
    embedding: Embedding
    spectra: Spectra
    separability: Mapping[str, Space]
    """By the name of the feature space."""
    cosine: Any
    """(K, K): the cosine similarities of the model fingerprints."""
    scales: Mapping[str, str]
    notes: Sequence[str]
    """Sentences that belong beside the headline."""


class ScoredTool(Block):
    """The metrics of one tool, as `attribution.scoring.score` gives them."""

    rejected: int
    least_accuracy: float
    """As if every rejected row were a wrong answer."""
    groups: Mapping[str, int] | None
    balanced_accuracy: Measure
    scores: Mapping[str, Any] | None
    detection: Mapping[str, Any] | None
    open_set: Mapping[str, Any] | None


class ScorePage(Page):
    """The page of `score`: the content of its metrics.json, and more. `tools` may not be empty."""

    tools: Mapping[str, ScoredTool]
    pairs: Sequence[Mapping[str, Any]]
    """Of `attribution.scoring.compare`."""
    audit: Mapping[str, Any] | None
    """{"verdict", "leak", "files_tested", "kinds"}."""
    method: Mapping[str, str]
    """Metric -> how it is computed, in words."""


def check_keys(values: Mapping[str, Any], required: Sequence[str], where: str = "results") -> None:
    """Raises ValueError with the missing required keys."""
    missing = [key for key in required if key not in values]
    if missing:
        raise ValueError(f"report: {where} without {', '.join(missing)}")


def check(values: Any, schema: Any, where: str = "") -> None:
    """Raises ValueError where keys of a schema, or of a nested one, are missing.

    Args:
        values: the values that the schema describes.
        schema: one of the classes here, or a type that holds some.
        where: its place in the results.
    """
    if is_typeddict(schema):
        hints = get_type_hints(schema)
        check_keys(values, [key for key in hints if key in schema.__required_keys__], where or "results")
        for key, inner in hints.items():
            if key in values:
                check(values[key], inner, f"{where}.{key}" if where else key)
    elif get_origin(schema) in (Union, UnionType):
        for inner in get_args(schema) if values is not None else ():
            check(values, inner, where)
    elif get_origin(schema) is list:
        for place, value in enumerate(values):
            check(value, get_args(schema)[0], f"{where}[{place}]")
    elif get_origin(schema) is Mapping:
        for key, value in values.items():
            check(value, get_args(schema)[1], f"{where}.{key}")
