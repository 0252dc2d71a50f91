"""Networks with their vote as ONNX files: onnxruntime answers as this package does, and each file says what it is."""

import dataclasses
import json

import numpy as np
import opinions
import pytest
from small_weights import CLASSES, draw, network

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.typicality import Typical, learn
from ganfp_jax.attribution.verdict import SCORES, UNKNOWN, UNSURE, Rule, decide, margins
from ganfp_jax.attribution.voting import RULES
from ganfp_jax.data.views import resolve_views
from ganfp_jax.interop.weights import Weights, digest
from ganfp_jax.run.errors import UserError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from ganfp_jax.interop.onnx_graph import vote as onnx_vote  # noqa: E402 - it needs the packages


def regression(name, side=16):
    model = {"name": name, "resolution": side, "num_classes": len(CLASSES)}
    about = {"classes": CLASSES, "augment": "none"}
    return Weights("attribution", model, draw(model), about, {"baseline": name})


def moments(side, **settings):
    model = {"name": "visnet_moments", "resolution": side, "num_classes": len(CLASSES), "num_features": 16, **settings}
    about = {"classes": CLASSES, "augment": "none"}
    return Weights("attribution", model, draw(model), about, {"run_folder": "moments"})


FORMS = {
    "residual": network,
    "image": lambda: network(input="image"),
    "pooled": lambda: network(switching_res=8),
    "blurred first": lambda: network(mode="predownscale", switching_res=8),
    "mean of patches": lambda: network(mode="mean_pool", switching_res=8),
    "spectrum": lambda: network(spectral_features=6),
    "spectrum of what is blurred first": lambda: network(mode="predownscale", switching_res=8, spectral_features=6),
    "the smallest": lambda: network(resolution=4),
    "moments": lambda: moments(32, fmaps=4, num_stages=2, block_features=8),
    "moments of one block": lambda: moments(16, num_stages=0, block_features=8),
    "moments of maps": lambda: moments(16, fmaps=4, num_stages=2, block_features=0),
    "fingerprint": lambda: network("fingerprint"),
    "pixels": lambda: regression("logistic_pixels"),
    "log-DCT": lambda: regression("logistic_log_dct"),
    "block log-DCT": lambda: regression("logistic_block_log_dct", 32),
    "one block": lambda: regression("logistic_block_log_dct", 8),
    "triples": lambda: regression("logistic_cooccurrences"),
    "too small for triples": lambda: regression("logistic_cooccurrences", 4),
    "local": lambda: regression("logistic_local"),
}


def images_for(weights, count):
    side = weights.model["resolution"]
    images = np.random.default_rng(3).integers(0, 256, (count, side, side, 3), np.uint8)
    images[-1] //= 32  # a dark one, whose luma differs little
    return images


def ask(data, images):
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"images": images}), strict=True))


def compare(weights, images, views, rule, thresholds=()):
    """Checks what a file answers against this package's vote, and returns it."""
    count, names = len(images), resolve_views(views)
    answer = ask(onnx_vote.vote_graph(weights, names, rule, thresholds=thresholds), images)
    vote = Attributor.of(weights, "memory").vote(images, names, rule, count)
    assert answer["logits"].shape == (count, len(names), len(CLASSES))
    scale = max(1, np.abs(vote.view_logits).max())
    np.testing.assert_allclose(answer["logits"].swapaxes(0, 1) / scale, vote.view_logits / scale, rtol=0, atol=1e-5)
    np.testing.assert_allclose(answer["probabilities"], vote.probabilities, rtol=0, atol=1e-4)
    np.testing.assert_allclose(answer["margin"], margins(vote.probabilities, vote.predicted), rtol=0, atol=1e-4)
    np.testing.assert_allclose(answer["distance"], vote.distance, rtol=0, atol=1e-4)
    for name in ("predicted", "votes"):
        np.testing.assert_array_equal(answer[name], getattr(vote, name))
    return answer


@pytest.mark.parametrize("form", FORMS)
def test_every_network_answers_the_same(form):
    weights = FORMS[form]()
    compare(weights, images_for(weights, 5), "identity", "majority")


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("views", ["mirror", "d4", "rot90,rot15,shift-1_2,crop12,crop-4_ul"])
def test_every_view_is_made_and_every_rule_counts_the_same(views, rule):
    answer = compare(opinions.weights(), opinions.pictures(24), views, rule)
    assert len({*answer["predicted"]}) == 3
    if views == "mirror":
        assert (answer["votes"].max(1) == 1).any()  # ties are among them


def test_a_file_takes_any_number_of_images():
    weights = network()
    data = onnx_vote.vote_graph(weights, ("identity", "mirror"), "majority", None)
    images = images_for(weights, 9)
    whole = ask(data, images)
    for part in (images[:1], images[:4]):
        for name, values in ask(data, part).items():
            np.testing.assert_allclose(values, whole[name][: len(part)], rtol=1e-5, atol=1e-5)


def test_a_verdict_stands_where_its_margin_reaches_the_calibration():
    weights, pictures = opinions.weights(), opinions.pictures(24)
    plain = compare(weights, pictures, "d4", "mean_probability")
    assert plain["decided"].dtype == bool and plain["decided"].all()
    assert (plain["typicality"] == 1).all() and not plain["unknown"].any()
    needed = np.repeat(plain["margin"][0], 3)
    needed[1] = 0.2  # one class takes less, or more
    answer = compare(weights, pictures, "d4", "mean_probability", needed.tolist())
    np.testing.assert_array_equal(answer["decided"], answer["margin"] >= needed[answer["predicted"]])
    assert answer["decided"][0] and 0 < answer["decided"].sum() < 24
    assert not np.array_equal(answer["decided"], answer["margin"] >= needed[0])


def known(source, scores):
    """A source by the scores of its images, each of another photograph, halfway to the next and so safe of rounding."""
    ranked = np.unique(scores)
    return learn(source, (ranked + np.append(ranked[1:], ranked[-1] + 0.01)) / 2, np.arange(len(ranked)))


@pytest.mark.parametrize("score", ["strangeness", "novelty"])
def test_verdicts_by_p_values_are_those_of_this_package(score):
    weights, pictures = opinions.weights(), opinions.pictures(24)
    weights = dataclasses.replace(weights, about=weights.about | {"nobody": score == "novelty"})
    attributor, views = Attributor.of(weights, "memory"), resolve_views("d4")
    vote = attributor.vote(pictures, views, "majority", 24)
    strange = SCORES[score].of(vote)
    own = [strange[vote.predicted == k, k] for k in range(len(CLASSES))]
    assert len({len(scores) for scores in own}) > 1  # tables of other lengths
    typical = Typical(score, 0.3, tuple(map(known, CLASSES, own)))
    margin = float(np.quantile(margins(vote.probabilities, vote.predicted), 0.2))
    data = onnx_vote.vote_graph(weights, views, "majority", thresholds=[margin] * 3, typical=typical.to_dict())
    answer = ask(data, pictures)
    words = decide(vote, (typical, Rule("margin", margin, UNSURE)))
    assert len({*words}) == 3  # "" is a source
    np.testing.assert_allclose(answer["distance"], vote.distance, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(answer["unknown"], [word == UNKNOWN for word in words])
    np.testing.assert_array_equal(answer["decided"], [word == "" for word in words])
    np.testing.assert_allclose(answer["typicality"], typical.p_values(strange), rtol=0, atol=1e-6)


def test_p_values_of_another_score_have_no_onnx_form():
    typical = Typical("another", 0.25, (known(CLASSES[0], [0.1]),))
    with pytest.raises(UserError, match="no ONNX form of the score another"):
        onnx_vote.vote_graph(network(), ("identity",), "majority", typical=typical.to_dict())


def test_a_file_says_what_it_is():
    weights = network()
    calibration = {"threshold": 0.25, "images": 400}
    model = onnx.load_from_string(onnx_vote.vote_graph(weights, ("mirror", "rot15"), "mean_logit", calibration))
    facts = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert facts == {
        "classes": CLASSES,
        "views": ["mirror", "rot15"],
        "rule": "mean_logit",
        "calibration": calibration,
        "model": weights.model,
        "digest": digest(weights.variables),
        "origin": weights.origin,
    }
    (image,) = model.graph.input
    shape = [axis.dim_param or axis.dim_value for axis in image.type.tensor_type.shape.dim]
    assert (image.name, shape, image.doc_string) == ("images", ["n", 16, 16, 3], "RGB, 0 to 255")
    assert [output.name for output in model.graph.output] == [*onnx_vote.OUTPUTS]
    for output in model.graph.output:
        assert output.doc_string == onnx_vote.OUTPUTS[output.name][2]
        assert output.type.tensor_type.shape.dim[0].dim_param == "n"


def test_files_are_reproducible():
    arguments = (("identity",), "majority", None)
    data = onnx_vote.vote_graph(network(), *arguments)
    assert data == onnx_vote.vote_graph(network(), *arguments)
    assert data != onnx_vote.vote_graph(network(seed=1), *arguments)


def test_a_network_of_one_class_has_margins_of_1():
    weights = network(num_classes=1)
    weights = dataclasses.replace(weights, about=weights.about | {"classes": CLASSES[:1]})
    answer = ask(onnx_vote.vote_graph(weights, ("identity",), "majority", None), images_for(weights, 2))
    np.testing.assert_array_equal(answer["margin"], [1, 1])
