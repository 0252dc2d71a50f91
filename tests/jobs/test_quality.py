"""SWD and MS-SSIM against plain implementations, the monitor, and the job's outputs and errors."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import structural_similarity

from ganfp_jax.data import sources
from ganfp_jax.generation import sampler
from ganfp_jax.jobs import quality as job
from ganfp_jax.metrics import ms_ssim, swd
from ganfp_jax.metrics.monitor import make_monitor
from ganfp_jax.run.errors import UserError

SMALL = swd.Protocol(descriptors=8, repeats=2, directions=16)


@pytest.fixture(scope="module")
def photographs():
    return sources.photos(split="train", count=96, resolution=32).images


def blurred(images):
    return ndimage.gaussian_filter(images, (0, 1.0, 1.0, 0))


# --- SWD


def plain_pyramid(image, levels):
    """One image (h, w, 3) by SciPy's convolution, which mirrors without repeating the border."""
    taps = np.array([1, 4, 6, 4, 1]) / 16
    kernel = np.outer(taps, taps)[:, :, None]
    pyramid = [image.astype(np.float64)]
    for _ in range(levels - 1):
        small = ndimage.convolve(pyramid[-1], kernel, mode="mirror")[::2, ::2]
        large = np.zeros_like(pyramid[-1])
        large[::2, ::2] = small
        pyramid[-1] = pyramid[-1] - ndimage.convolve(large, 4 * kernel, mode="mirror")
        pyramid.append(small)
    return pyramid


def plain_swd(real, generated, protocol, seed):
    result = {}
    sides = [32, 16]
    for level, side in enumerate(sides):
        corners = np.random.RandomState([seed, side, 0]).randint(0, side - 7 + 1, (len(real), protocol.descriptors, 2))
        rng = np.random.RandomState([seed, side, 1])
        directions = rng.randn(147, protocol.repeats, protocol.directions).reshape(147, -1)
        directions = directions / np.sqrt((directions**2).sum(0))
        projected = []
        for images in (real, generated):
            windows = []
            for image, places in zip(images, corners, strict=True):
                level_map = plain_pyramid(image, len(sides))[level]
                windows += [level_map[y : y + 7, x : x + 7] for y, x in places]
            windows = np.stack(windows)
            windows = (windows - windows.mean((0, 1, 2))) / windows.std((0, 1, 2))
            projected.append(np.sort(windows.reshape(-1, 147) @ directions, axis=0))
        result[f"swd_{side}"] = 1e3 * np.abs(projected[0] - projected[1]).mean()
    return result | {"swd_mean": np.mean(list(result.values()))}


def test_pyramid(photographs):
    ours = swd.laplacian_pyramid(jnp.asarray(photographs[:2], jnp.float32), 3)
    for i in range(2):
        for mine, plain in zip(ours, plain_pyramid(photographs[i], 3), strict=True):
            np.testing.assert_allclose(mine[i], plain, atol=1e-3)


def test_swd_is_that_of_a_plain_implementation(photographs, monkeypatch):
    monkeypatch.setattr(swd, "BATCH", 20)  # the last batch is smaller
    monkeypatch.setattr(swd, "CHUNK", 24)  # and so is the last chunk
    real, generated = photographs[:48], blurred(photographs[48:])
    ticks = []
    ours = swd.swd(real, generated, protocol=SMALL, seed=3, tick=lambda: ticks.append(1))
    assert list(ours) == ["swd_32", "swd_16", "swd_mean"]
    assert ours == pytest.approx(plain_swd(real, generated, SMALL, 3), rel=1e-4)
    assert len(ticks) == swd.num_chunks(32, SMALL) == 4


def test_swd_of_a_set_from_itself_is_zero(photographs):
    assert set(swd.swd(photographs, photographs, protocol=SMALL).values()) == {0.0}


def test_sorting_on_an_accelerator_gives_the_same(photographs, monkeypatch):
    on_cpu = swd.swd(photographs[:48], photographs[48:], protocol=SMALL)
    monkeypatch.setattr(swd.jax, "default_backend", lambda: "gpu")
    assert swd.swd(photographs[:48], photographs[48:], protocol=SMALL) == pytest.approx(on_cpu, rel=1e-5)


def test_swd_is_reproducible_and_symmetric(photographs):
    a, b = photographs[:48], photographs[48:]
    assert swd.swd(a, b, protocol=SMALL) == swd.swd(a, b, protocol=SMALL)
    assert swd.swd(a, b, protocol=SMALL) == pytest.approx(swd.swd(b, a, protocol=SMALL), rel=1e-5)
    assert swd.swd(a, b, protocol=SMALL, seed=1) != swd.swd(a, b, protocol=SMALL)


def test_swd_does_not_see_brightness_and_contrast(photographs):
    """Descriptors are normalised by channel, so an affine change of the values costs nothing but its rounding."""
    dimmed = (photographs // 2 + 30).astype(np.uint8)
    distance = swd.swd(photographs // 2 * 2, dimmed, protocol=SMALL)
    assert max(distance.values()) < 0.01


def test_swd_sees_damage_at_its_level(photographs):
    rng = np.random.RandomState(0)

    def damaged_by(damage):
        damaged = np.clip(photographs + damage, 0, 255).astype(np.uint8)
        distance = swd.swd(photographs, damaged, protocol=SMALL)
        return distance["swd_32"], distance["swd_16"]

    fine, coarse = damaged_by(rng.randint(-40, 41, photographs.shape))
    assert fine > 2 * coarse > 0
    squares = rng.randint(0, 2, (96, 4, 4, 1)).repeat(8, 1).repeat(8, 2) * 120 - 60
    less_fine, more_coarse = damaged_by(squares)
    assert more_coarse > coarse
    assert less_fine < fine
    assert swd.swd(photographs, blurred(photographs), protocol=SMALL)["swd_32"] > 0


def test_flat_images_have_a_finite_distance_whatever_their_grey(photographs):
    black, grey = (swd.swd(photographs, np.full_like(photographs, value), protocol=SMALL) for value in (0, 201))
    assert black == grey
    assert 0 < max(black.values()) < 2000


def test_published_protocol_and_levels():
    assert swd.PUBLISHED == (7, 128, 4, 128, 16)
    assert swd.level_sides(128) == [128, 64, 32, 16]
    assert swd.level_sides(16) == [16]
    for side, words in ((8, "too small"), (70, "powers of two")):
        with pytest.raises(UserError, match=words):
            swd.level_sides(side)


def test_swd_refuses_sets_of_two_shapes(photographs):
    with pytest.raises(UserError, match="equal shapes"):
        swd.swd(photographs, photographs[1:])
    with pytest.raises(UserError, match="square"):
        swd.swd(photographs[:, :16], photographs[:, :16])


# --- MS-SSIM


def test_ssim_is_scikit_images(photographs):
    a, b = photographs[0], blurred(photographs)[0]
    _, full = structural_similarity(
        a, b, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    whole, contrast = ms_ssim.ssim(*(jnp.asarray(x[None], jnp.float32) for x in (a, b)))
    np.testing.assert_allclose(whole[0], full[5:-5, 5:-5].mean(), rtol=1e-4)
    assert contrast[0] >= whole[0]


def test_ms_ssim_is_the_weighted_product(photographs):
    a, b = photographs[:4], blurred(photographs)[:4]
    x, y = (jnp.asarray(images, jnp.float32) for images in (a, b))
    factors = []
    for _ in range(3):
        factors.append(ms_ssim.ssim(x, y))
        x, y = (images.reshape(4, len(images[0]) // 2, 2, -1, 2, 3).mean((2, 4)) for images in (x, y))
    weights = np.array([0.0448, 0.2856, 0.3001]) / (0.0448 + 0.2856 + 0.3001)
    expected = factors[0][1] ** weights[0] * factors[1][1] ** weights[1] * factors[2][0] ** weights[2]
    np.testing.assert_allclose(ms_ssim.ms_ssim_of_pairs(a, b, scales=3), expected, rtol=1e-5)


def test_equal_images_have_similarity_one(photographs):
    np.testing.assert_allclose(ms_ssim.ms_ssim_of_pairs(photographs, photographs, scales=3), 1.0, rtol=1e-5)
    assert ms_ssim.ms_ssim(np.repeat(photographs[:1], 9, axis=0)) == pytest.approx(1.0, rel=1e-5)


def test_opposite_images_have_similarity_zero(photographs):
    np.testing.assert_array_equal(ms_ssim.ms_ssim_of_pairs(photographs[:4], 255 - photographs[:4], scales=3), 0.0)


def test_less_varied_images_are_more_similar(photographs):
    few = photographs[np.arange(96) % 4]
    assert ms_ssim.ms_ssim(few) > ms_ssim.ms_ssim(photographs) + 0.1


def test_scales():
    assert [ms_ssim.num_scales(side) for side in (8, 16, 32, 64, 128, 256, 1024)] == [1, 2, 3, 4, 5, 5, 5]
    for side in (4, 66):
        with pytest.raises(UserError, match="power of two"):
            ms_ssim.num_scales(side)
    with pytest.raises(UserError, match="at least two square ones"):
        ms_ssim.ms_ssim(np.zeros((1, 32, 32, 3), np.uint8))


# --- monitor and job


def test_monitor(photographs):
    monitor = make_monitor(photographs, seed=2)
    generated = blurred(photographs[:64])
    values = monitor(generated)
    assert list(values) == ["swd64_32", "swd64_16", "swd64_mean", "ms_ssim64_3scales"]
    assert monitor(generated) == values
    chosen = np.random.RandomState(2).permutation(96)[:64]
    distances = swd.swd(photographs[chosen], generated, seed=2)
    assert values["swd64_32"] == pytest.approx(distances["swd_32"], rel=1e-5)
    assert values["ms_ssim64_3scales"] == ms_ssim.ms_ssim(generated, seed=2)
    assert next(iter(monitor(generated[:32]))) == "swd32_32"
    with pytest.raises(UserError, match=r"64 images of .* against 96 of"):
        monitor(generated[:, :16, :16])


class PhotographsAsGenerator(sampler.Sampler):
    """Draws crops of photographs, blurred: it stands for a trained generator."""

    source_name, resolution, origin = "Blurred", 16, {"generator": "runs/none", "step": 1, "digest": "0"}

    def __init__(self, folder):
        pass

    def stream(self, seed, count, batch_size):
        images = blurred(sources.photos(split="train", count=count, resolution=16, seed=seed + 1).images)
        for first in range(0, count, batch_size):
            yield images[first : first + batch_size]


def config(**changes):
    from configs.quality import get_config

    settings = get_config("tiny")
    settings.update(changes)
    return settings.to_dict()


@pytest.fixture
def generator(monkeypatch):
    monkeypatch.setattr(job, "Sampler", PhotographsAsGenerator)


def test_job(generator, tmp_path, capsys):
    job.run(config(), tmp_path)
    result = json.loads((tmp_path / "quality.json").read_text())
    assert (result["count"], result["resolution"], result["generator"]["step"]) == (64, 16, 1)
    names = ["swd64_16", "swd64_mean", "ms_ssim64_2scales"]
    assert list(result["generated"]) == list(result["real"]) == names
    assert result["generated"]["swd64_16"] > result["real"]["swd64_16"]
    out = capsys.readouterr().out
    assert "generated  " in out
    assert str(tmp_path / "quality.json") in out
    assert "fid" not in json.dumps(result)


def test_job_with_features(generator, tmp_path, monkeypatch):
    """FID and KID, by features that stand for Inception's."""

    def make_features(path, *, batch_size):
        assert str(path) == "weights.npz"
        return lambda images, tick: images[:, :2, :2].reshape(len(images), -1).astype(np.float32) / 255

    monkeypatch.setattr(job.inception, "make_features", make_features)
    job.run(config(inception="weights.npz", floor=False), tmp_path)
    result = json.loads((tmp_path / "quality.json").read_text())
    assert "real" not in result
    assert result["generated"]["fid64"] > 0
    assert result["generated"]["kid64_standard_error"] > 0
    assert "kid64" in result["generated"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generator": ""}, "config.generator is empty"),
        ({"count": 1}, "config.count is 1"),
        ({"inception": "nowhere.npz"}, "no Inception weights at nowhere.npz"),
        ({"inception": "nowhere.npz", "kid": {"subsets": 10, "subset_size": 65}}, "config.kid.subset_size is 65"),
        ({"data": {"source": "web"}}, "config.data.source is 'web'; choose from"),
        ({"data": {"source": "folder"}}, "folder of real images is not set"),
    ],
)
def test_job_refuses(generator, tmp_path, changes, words):
    with pytest.raises(UserError, match=words):
        job.run(config(**changes), tmp_path)


def test_job_counts_the_real_images(generator, tmp_path):
    from ganfp_jax.data.decode import encode_png

    (tmp_path / "data").mkdir()
    for i in range(70):
        encode_png(tmp_path / "data" / f"{i}.png", np.full((16, 16, 3), i, np.uint8))
    data = {"source": "folder", "folder": {"root": str(tmp_path / "data")}}
    with pytest.raises(UserError, match=r"config.data.folder has 70 images, 128 are needed"):
        job.run(config(data=data), tmp_path)


def test_job_needs_a_generators_run_folder(tmp_path):
    assert job.Sampler is sampler.Sampler
    with pytest.raises(UserError, match="is not a run folder"):
        job.run(config(generator=str(tmp_path)), tmp_path)
