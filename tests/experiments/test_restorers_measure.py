"""The measures of the study of restorers: crops of whole, perturbed pictures, and verdicts summed over them."""

import numpy as np
import pytest

from experiments.restorers import measure, sources
from ganfp_jax.data import labelled, manifests, perturb
from ganfp_jax.data.decode import decode_image, encode_png


@pytest.fixture
def folder(tmp_path):
    rng = np.random.RandomState(0)
    for source in ("real", "lanczos"):
        (tmp_path / source).mkdir()
        for photograph in ("a", "b"):
            encode_png(tmp_path / source / f"{photograph}_0.png", rng.randint(0, 256, (48, 64, 3)).astype(np.uint8))
    manifests.write_manifest(
        tmp_path, ["real", "lanczos"], {s: {"photographs": ["a", "b"]} for s in ("real", "lanczos")}
    )
    return labelled.open_labelled(tmp_path)


def test_crops_are_cut_side_by_side_after_the_perturbation(folder):
    some = measure.crops(folder, "none", 16, 5)
    assert some.images.shape == (20, 16, 16, 3)
    np.testing.assert_array_equal(some.labels, np.repeat([0, 0, 1, 1], 5))
    np.testing.assert_array_equal(some.photographs, np.tile(np.repeat([0, 1], 5), 2))
    picture = decode_image(folder.paths[1])
    np.testing.assert_array_equal(some.images[9], picture[16:32, :16])
    compressed = measure.crops(folder, "jpeg75", 16, 5)
    whole = perturb.perturb(picture[None], "jpeg75")[0]
    np.testing.assert_array_equal(compressed.images[9], whole[16:32, :16])
    assert len(measure.crops(folder, "rescale0.5", 16, 5).images) == 4 * 2


def test_accuracy_of_crops_pictures_classes_and_families():
    labels, pictures, photographs = np.repeat([0, 0, 1, 2], 2), np.repeat([0, 1, 2, 3], 2), np.repeat([0, 1, 0, 1], 2)
    crops = measure.Crops(np.zeros((8, 2, 2, 3), np.uint8), labels, pictures, photographs)
    sure, unsure = np.log([0.8, 0.1, 0.1]), np.log([0.3, 0.4, 0.3])
    said = np.stack([sure, unsure, sure, sure, sure, unsure, unsure[[0, 2, 1]], unsure])
    block = measure.accuracy(said, crops, [0, 1, 1])
    assert block["crop_class"]["share"] == 5 / 8  # 0 1 0 0 | 0 1 | 2 1
    assert block["crop_family"]["share"] == 6 / 8
    # Summed up: the first picture is 0 by the sure crop, the third 0, the last a tie of 1 and 2, which goes to 1.
    assert block["picture_class"]["share"] == 2 / 4
    assert block["picture_family"]["share"] == 3 / 4
    assert {count: rate["share"] for count, rate in block["by_count"].items()} == {"1": 3 / 4, "2": 2 / 4}
    assert block["accused"] == {"share": 0.0, "n": 2, "photographs": 2, "ci95": [0.0, 0.0]}


def test_rates_are_drawn_by_photograph():
    hits = np.repeat([1, 0, 1, 1], 25)
    by_photograph = measure.rate(hits, np.repeat([0, 1, 2, 3], 25))
    assert by_photograph["share"] == 0.75 and by_photograph["photographs"] == 4
    low, high = by_photograph["ci95"]
    one_by_one = measure.rate(hits, np.arange(100))["ci95"]
    assert high - low > 2 * (one_by_one[1] - one_by_one[0])


def test_settings_are_trained_or_held_out():
    for family, held_out in sources.HELD_OUT.items():
        assert not set(held_out) & set(sources.FAMILIES[family])
    assert {sources.family_of(name) for name in sources.TEN} == set(sources.FAMILIES)
