"""The equalised copy: written alike, with its manifest, and found free of leaks by a second audit."""

import json

import numpy as np
import pytest
from leaky_folders import LEAKS, commented, config_of, jpeg, judged, picture, png, stretch, write_folder
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ganfp_jax.audit import equalise
from ganfp_jax.data import labelled, manifests
from ganfp_jax.data.decode import decode_image
from ganfp_jax.jobs import audit
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError

SETTINGS = {"codec": "png", "quality": 95, "resolution": 0, "resize": "crop", "stretch": False, "seed": 0}


def full_of_leaks(path, image):
    """Larger, stretched, with a comment."""
    text = PngInfo()
    text.add_text("Software", "trainer")
    png(path, stretch(np.pad(image, ((4, 4), (2, 4), (0, 0)), mode="reflect")), pnginfo=text)


@pytest.mark.parametrize("codec", ["png", "jpeg"])
def test_a_second_audit_of_the_copy_finds_no_leak(tmp_path, codec):
    root, out = write_folder(tmp_path / "set", 0, (png, full_of_leaks)), tmp_path / "out"
    before = judged(root)
    leaking = {kind for kind in LEAKS if before[kind].verdict == "leak"}
    assert leaking >= {"dimensions", "metadata", "stretch"}
    settings = config_of(root)["equalised"] | {"codec": codec}
    (tmp_path / "run").mkdir()
    audit.run(config_of(root, equalise=str(out), equalised=settings), tmp_path / "run")  # stretches all as some were
    after = judged(out)
    assert {kind: after[kind].verdict for kind in LEAKS} == dict.fromkeys(LEAKS, "nothing found")
    for path in out.glob("*/*"):
        with Image.open(path) as image:
            assert (image.format, image.size) == (codec.upper(), (24, 24))
            assert "Software" not in image.info
        assert {0, 255} <= set(np.unique(decode_image(path))) or codec == "jpeg"


def test_pixels_stay_as_they_are_and_the_manifest_comes_along(tmp_path):
    root, out = tmp_path / "set", tmp_path / "out"
    for seed, split in enumerate(("train", "test")):
        write_folder(root / split, seed, (png, commented), count=6)
        (root / split / "real" / "broken.png").write_bytes(b"no image")
        origin = {"real": {"photographs": ["real"], "count": 6}}
        manifests.write_manifest(root / split, ["real", "ProGAN"], origin)
    folders = labelled.open_splits(str(root))
    notes = equalise.write(folders, out, **SETTINGS)
    assert notes == [f"24 images of 24x24 as png in {out}", f"2 files could not be used: {out / 'rejected.csv'}"]
    assert (out / "rejected.csv").read_text() == (
        "image,reason\ntrain/real/broken.png,not an image\ntest/real/broken.png,not an image\n"
    )
    for split, folder in folders.items():
        copy = labelled.open_labelled(out, split=split)
        assert copy.classes == folder.classes == ("real", "ProGAN")  # the manifest's order, not the alphabet's
        whole = [name for name in folder.names if "broken" not in name]
        assert list(copy.names) == whole
        assert labelled.origins(copy)[0] == "real/real"  # crops are still known by their photograph
        for name in whole:
            np.testing.assert_array_equal(decode_image(copy.root / name), decode_image(folder.root / name))
        record = manifests.read_manifest(copy.root)["sources"]
        assert record["real"] == {
            "photographs": ["real"],
            "count": 6,
            "equalised": {"codec": "png", "resolution": 24, "resize": "crop", "stretch": False},
        }
        assert record["ProGAN"]["equalised"]["codec"] == "png"


def test_what_cannot_be_hidden_is_said(tmp_path):
    root = write_folder(tmp_path / "set", 0, (png, jpeg), count=6)
    folders = labelled.open_splits(str(root))
    notes = equalise.write(folders, tmp_path / "png", **SETTINGS)
    assert notes[1].startswith("JPEG files leave their traces in the pixels of the copy; --config.equalised.codec=jpeg")
    assert len(equalise.write(folders, tmp_path / "jpeg", **SETTINGS | {"codec": "jpeg"})) == 1


def test_a_stopped_copy_goes_on_and_nothing_else_is_overwritten(tmp_path):
    root, out = write_folder(tmp_path / "set", 0, (png, png), count=6), tmp_path / "out"
    folders = labelled.open_splits(str(root))
    settings = SETTINGS | {"stretch": True}
    equalise.write(folders, out, **settings)
    whole = {path.name: path.read_bytes() for path in out.glob("*/*")}
    (out / "manifest.json").unlink()
    (out / "real" / "real_00000003.png").unlink()
    equalise.write(folders, out, **settings)
    assert {path.name: path.read_bytes() for path in out.glob("*/*")} == whole
    with pytest.raises(UserError, match="holds a copy of other images, or with other settings"):
        equalise.write(folders, out, **settings | {"resolution": 8})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("important")
    with pytest.raises(UserError, match="holds something else"):
        equalise.write(folders, tmp_path / "other", **settings)


def test_another_set_is_not_mixed_into_a_copy(tmp_path):
    first, second = (
        labelled.open_splits(str(write_folder(tmp_path / str(i), i, (png, png), count=6))) for i in range(2)
    )
    out = tmp_path / "out"
    equalise.write(first, out, **SETTINGS)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match="holds a copy of other images") as error:
        equalise.write(second, out, **SETTINGS)
    assert "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    # The same images elsewhere are the same set, and what a killed run left half written is swept up.
    left = out / "real" / f".x.png.{atomic._HOST}-99999999-1.tmp"
    left.write_bytes(b"half")
    (tmp_path / "0").rename(tmp_path / "moved")
    equalise.write(labelled.open_splits(str(tmp_path / "moved")), out, **SETTINGS)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    # Killed before it could even write what it is: only a hidden part lies there.
    young = tmp_path / "young"
    young.mkdir()
    (young / f".equalised.json.{atomic._HOST}-99999999-1.tmp").write_bytes(b"{")
    equalise.write(second, young, **SETTINGS)
    assert not list(young.glob(".*"))


def test_names_that_meet_are_kept_apart(tmp_path):
    root = write_folder(tmp_path / "set", 0, (png, png), count=6)
    rng = np.random.default_rng(5)
    jpeg(root / "real" / "real_00000000", picture(rng))
    equalise.write(labelled.open_splits(str(root)), tmp_path / "out", **SETTINGS)
    names = sorted(path.name for path in (tmp_path / "out" / "real").iterdir())
    assert names[:2] == ["real_00000000.jpg.png", "real_00000000.png.png"]
    assert len(names) == 7


def test_a_source_without_a_usable_image(tmp_path):
    root = write_folder(tmp_path / "set", 0, (png, png), count=6)
    folders = labelled.open_splits(str(root))
    with pytest.raises(
        UserError, match=r"no image of ProGAN can be used at 64x64, such as ProGAN/.*: is 24x24, smaller"
    ):
        equalise.write(folders, tmp_path / "out", **SETTINGS | {"resolution": 64})


def test_a_stretch_leaves_no_gaps_and_depends_on_seed_and_image():
    rng = np.random.default_rng(0)
    image = picture(rng, 48)
    first, again, other = (equalise.stretched(image, np.random.RandomState(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (first.min(), first.max()) == (0, 255)
    assert 0.005 < (first == 0).mean() < 0.02
    assert np.unique(first).size > 240
    flat = np.full((8, 8, 3), 9, np.uint8)
    assert equalise.stretched(flat, np.random.RandomState(0)).shape == flat.shape


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"codec": "gif"}, "config.equalised.codec is 'gif'; choose one of png, jpeg"),
        ({"stretch": "some"}, "config.equalised.stretch is 'some'"),
        ({"quality": 0}, "quality 0"),
        ({"resize": "squeeze"}, "unknown resize 'squeeze'"),
    ],
)
def test_equalise_tells_of_bad_settings_before_anything_is_read(tmp_path, changes, said):
    settings = config_of("nowhere")["equalised"] | changes
    with pytest.raises(UserError, match=said):
        audit.run(config_of(tmp_path / "nowhere", equalised=settings), tmp_path)


@pytest.mark.parametrize("out", ["set", "set/train", "."])
def test_a_copy_does_not_lie_in_its_original(tmp_path, out):
    with pytest.raises(UserError, match="lie inside each other"):
        audit.run(config_of(tmp_path / "set", equalise=str(tmp_path / out)), tmp_path)


def test_the_record_can_be_read(tmp_path):
    root = write_folder(tmp_path / "set", 0, (png, png), count=6)
    equalise.write(labelled.open_splits(str(root)), tmp_path / "out", **SETTINGS | {"codec": "jpeg", "stretch": True})
    record = json.loads((tmp_path / "out" / "equalised.json").read_text())
    assert len(record.pop("source")) == 64
    assert record == {
        "codec": "jpeg", "resolution": 24, "resize": "crop", "stretch": True, "quality": 95, "seed": 0,
    }  # fmt: skip


def test_nothing_is_written_outside_whatever_a_list_names(tmp_path):
    """Files of a list may lie anywhere and be called anything; all their copies lie in the folder, none is hidden."""
    home = tmp_path / "home"
    outside = (tmp_path / "a.png", home / "a.png", home / "deep" / "a.png", home / "deep_a.png")
    hidden = (home / ".a.png", home / ".b.png", home / "_.b.png", home / ("x" * 251 + ".png"), home / "..a.png.png")
    for seed, path in enumerate((*outside, *hidden)):
        path.parent.mkdir(parents=True, exist_ok=True)
        png(path, picture(np.random.default_rng(seed)))
    names = ["../a.png", str(home / "a.png"), "deep/../deep/a.png", "deep_a.png", *(path.name for path in hidden)]
    rows = [f"{name},{source}" for source, some in (("A", names[:7]), ("B", names[7:])) for name in some]
    (home / "list.csv").write_text("\n".join(["image,source", *rows]))
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    out = tmp_path / "out"
    equalise.write({"": labelled.open_labelled(home / "list.csv")}, out, **SETTINGS)
    assert {path for path in tmp_path.rglob("*") if path.is_file() and out not in path.parents} == before
    copies = [decode_image(path) for path in labelled.open_labelled(out).paths]
    originals = [decode_image(path) for path in (*outside, *hidden)]
    assert len(copies) == len(originals)
    assert {image.tobytes() for image in copies} == {image.tobytes() for image in originals}


def test_a_source_of_a_list_without_a_usable_image_is_told(tmp_path):
    png(tmp_path / "a.png", picture(np.random.default_rng(0)))
    (tmp_path / "b.png").write_bytes(b"no image")
    (tmp_path / "list.csv").write_text("image,source\na.png,A\nb.png,B\n")
    with pytest.raises(UserError, match=r"no image of B can be used at .*, such as b\.png: not an image"):
        equalise.write({"": labelled.open_labelled(tmp_path / "list.csv")}, tmp_path / "out", **SETTINGS)
