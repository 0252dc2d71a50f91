"""How a verdict stands up to processing: the verdicts on the processed picture, from mild to strong."""

import numpy as np
import opinions
import pytest

from ganfp_jax.attribution import sentences, stability
from ganfp_jax.attribution.attributor import MANY
from ganfp_jax.attribution.verdict import NOTHING, UNSURE, Attribution, RefusedImagesError
from ganfp_jax.data.decode import Picture, Refused, encode_png
from ganfp_jax.data.looks import look
from ganfp_jax.data.perturb import PERTURBATIONS, check_perturbation, family_of, perturb
from ganfp_jax.data.tiles import TILING
from ganfp_jax.run.errors import UserError

VIEWS = ("identity", "mirror")


@pytest.fixture(scope="module")
def attributor():
    return opinions.attributor_of(opinions.weights())


def said(verdict="ProGAN", votes=4, tiles=1, probability=0.9):
    """A verdict in which so many of four views choose ProGAN."""
    return Attribution(
        "ProGAN",
        probability,
        {"ProGAN": votes, "real": 4 - votes},
        {"ProGAN": probability, "real": 1 - probability},
        verdict=verdict,
        margin=0.8,
        distance=0.1,
        views={},
        tiles=tiles,
    )


def stands(changed=(), left_out=(), own="ProGAN"):
    """A verdict that is the same on all forms, but for some of them."""
    names = [name for family, ladder in stability.LADDER.items() if family not in left_out for name in ladder]
    forms = {stability.UNPROCESSED: said(own), **{name: said(own) for name in names}, **dict(changed)}
    return stability.of_verdicts(list(forms), list(forms.values()))


def test_every_family_goes_from_mild_to_strong():
    assert stability.FORMS == MANY  # the forms of an image of one tile are one call
    for family, ladder in stability.LADDER.items():
        for name in ladder:
            check_perturbation(name)
        strengths = [float(name.removeprefix(family_of(ladder[0]))) for name in ladder]
        milder = {"reduced": True, "enlarged": False}.get(family, PERTURBATIONS[family_of(ladder[0])].eases)
        assert strengths == sorted(set(strengths), reverse=milder)


def test_forms_are_what_the_network_would_be_shown_of_processed_files():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    found = stability.forms(Picture(pixels, ("turned upright",)), opinions.SIDE, "crop", TILING._replace(windows=9))
    assert next(iter(found)) == "none" and len(found) == stability.FORMS
    assert len(found["none"].tiles) == 6 and len(found["rescale0.5"].tiles) == 2 and found["none"].sweep is None
    for name in ("jpeg60", "rescale0.8", "rescale1.1", "crop10", "blur1"):
        expected = look(Picture(perturb(pixels[None], name)[0], ()), opinions.SIDE, "crop", TILING)
        np.testing.assert_array_equal(found[name].tiles, expected.tiles)


def test_what_the_network_cannot_be_shown_is_no_form():
    found = stability.forms(Picture(opinions.pictures(1)[0], ()), opinions.SIDE, "crop", TILING)
    missing = {name for ladder in stability.LADDER.values() for name in ladder} - found.keys()
    assert missing == set(stability.LADDER["reduced"])
    with pytest.raises(Refused, match="smaller"):
        stability.forms(Picture(np.zeros((8, 8, 3), np.uint8), ()), opinions.SIDE, "crop", TILING)


def test_of_a_large_picture_the_middle_is_processed(monkeypatch):
    monkeypatch.setattr(stability, "MIDDLE", 16)
    pixels = np.arange(40 * 12 * 3, dtype=np.uint8).reshape(40, 12, 3)
    np.testing.assert_array_equal(stability.middle(pixels), pixels[8:24])  # JPEG's blocks stay whole


def test_the_mildest_change_of_each_family_and_the_mean_of_all():
    half, quarter = said(UNSURE, 2), said("real", 1)
    found = stands({"jpeg50": half, "jpeg30": quarter, "blur2": half}.items(), left_out=("reduced",))
    assert found.changes["jpeg"].processing == "jpeg50" and found.changes["blurred"].verdict == UNSURE
    assert found.changes["cropped"] is None and "reduced" not in found.changes
    jpeg, blurred = (8 + 0.5 + 0.25) / 10, 5.5 / 6
    assert found.value == pytest.approx((jpeg + blurred + 2) / 4)
    record = found.record()
    assert record["changed_by"] == {"jpeg": "jpeg50", "enlarged": None, "cropped": None, "blurred": "blur2"}
    assert record["shares"]["jpeg30"] == 0.25 and record["verdicts"]["jpeg30"] == "real"
    assert record["shares"]["none"] == 1 and record["source"] == "ProGAN" and record["value"] == round(found.value, 6)


def test_a_form_with_nothing_to_see_has_no_votes_and_such_a_picture_no_stability():
    flat = said(NOTHING, 4, tiles=0)
    found = stands([("blur2", flat)])
    assert found.curves["blurred"][-1] == ("blur2", NOTHING, 0.0, 0.0)
    assert stability.of_verdicts(["none", "jpeg95"], [flat, flat]) is None


def test_the_verdicts_are_those_on_processed_pictures(attributor, tmp_path):
    pixels = (opinions.pictures(6).reshape(2, 3, 16, 16, 3).transpose(0, 2, 1, 3, 4)).reshape(32, 48, 3)
    encode_png(tmp_path / "a.png", pixels)
    found = attributor.stability(tmp_path / "a.png", VIEWS)
    names = ["none", "jpeg30", "rescale0.5", "rescale1.5", "crop20", "blur2"]
    verdicts = attributor.attribute([perturb(pixels[None], name)[0] for name in names], VIEWS, batch_size=MANY)
    rungs = {rung.processing: rung for rung in (found.own, *(r for of in found.curves.values() for r in of))}
    source = verdicts[0].predicted
    assert found.source == source and len(rungs) == stability.FORMS
    for name, verdict in zip(names, verdicts, strict=True):
        assert rungs[name].verdict == verdict.verdict
        assert rungs[name].share == verdict.votes.get(source, 0) / sum(verdict.votes.values())
        assert rungs[name].probability == pytest.approx(verdict.probabilities[source], abs=1e-6)


def test_what_cannot_be_told_from_python(attributor):
    assert attributor.stability(np.full((20, 20, 3), 90, np.uint8), VIEWS) is None
    with pytest.raises(RefusedImagesError, match="is 8x8, smaller than 16x16"):
        attributor.stability(np.zeros((8, 8, 3), np.uint8), VIEWS)
    for settings in ({"rule": "loudest"}, {"resize": "x"}, {"tiles": -1}):
        with pytest.raises(UserError):
            attributor.stability(opinions.pictures(1)[0], VIEWS, **settings)


def test_the_sentences_name_what_changes_the_verdict_and_what_does_not():
    changed = {"jpeg50": said(UNSURE), "rescale0.8": said(UNSURE), "blur0.5": said("real")}
    assert sentences.stability(stands(changed.items())) == [
        "The verdict becomes unsure where the picture is saved as JPEG of quality 50 or reduced to 80%.",
        "It becomes no known trace (real) where the picture is blurred by 0.5 pixels.",
        "It stays the same where the picture is enlarged up to 200% or cropped by up to 20%.",
    ]
    assert sentences.stability(stands(left_out=("reduced",))) == [
        "The verdict stays the same where the picture is saved as JPEG down to quality 30, enlarged up to 200%, "
        "cropped by up to 20% or blurred by up to 2 pixels.",
        "Reduced, it is not of a size that the network takes.",
    ]


def test_the_middle_of_a_large_picture_is_told():
    assert sentences.middle(stands(), (stability.MIDDLE, 100)) == []
    assert sentences.middle(stands(own="real"), (3000, 100)) == [
        "The middle 100x2048 pixels were processed, of which the verdict is no known trace (real)."
    ]
