"""Images that are there twice, in the same file or another, and photographs on both sides of the split."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from ganfp_jax.audit import duplicates
from ganfp_jax.data import labelled, manifests, sources
from ganfp_jax.data.decode import encode_png


@pytest.fixture(scope="module")
def crops():
    """Crops of all photographs, which have nothing in common but their photograph."""
    return sources.photos(split="all", count=72, resolution=32).images


def prints_of(folder, images):
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i:04d}.png" for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        encode_png(path, image)
    return duplicates.take_prints(paths)


def find(prints, splits, distance=4, classes=None):
    names = [f"{split}/{i}" for i, split in enumerate(splits)]
    return duplicates.find(prints, names, splits, classes or ["real"] * len(names), distance)


def saved(image, **options):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, **options)
    return np.asarray(Image.open(buffer).convert("RGB"))


def brighter(image):
    return np.clip(image.astype(int) + 10, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: saved(image, format="JPEG", quality=75),
        brighter,
        lambda image: np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BICUBIC)),
    ],
    ids=["jpeg", "brighter", "larger"],
)
def test_changed_copies_are_near_duplicates(crops, tmp_path, change):
    images = [*crops, *(change(image) for image in crops)]
    pairs = find(prints_of(tmp_path, images), ["train"] * 72 + ["test"] * 72)
    assert all(pair.kind == "near" and pair.across_splits for pair in pairs)
    right = [pair for pair in pairs if int(pair.image.split("/")[1]) - 72 == int(pair.repeats.split("/")[1])]
    assert len(right) >= 0.85 * 72
    assert len(right) == len(pairs)  # and no other crop is taken for one


def test_crops_that_share_nothing_are_no_duplicates(crops, tmp_path):
    assert find(prints_of(tmp_path, crops), ["train", "test"] * 36) == []


def test_a_repeated_image_is_listed_once_and_rather_in_the_other_split(crops, tmp_path):
    a, b = crops[:2]
    prints = prints_of(tmp_path, [a, b, a, a, b, brighter(a)])
    pairs = find(prints, ["train", "train", "train", "test", "test", "test"], classes=["x", "x", "x", "y", "x", "x"])
    expected = [
        ("train/2", "train/0", "exact", False, False),
        ("test/3", "train/0", "exact", True, True),
        ("test/4", "train/1", "exact", True, False),
        ("test/5", "train/0", "near", True, False),
    ]
    assert [(p.image, p.repeats, p.kind, p.across_splits, p.across_sources) for p in pairs] == expected
    assert [pair.distance for pair in pairs[:3]] == [0, 0, 0]


def test_flat_images_are_compared_by_their_pixels_only(tmp_path):
    flat = [np.full((32, 32, 3), level, np.uint8) for level in (0, 100, 255, 100)]
    pairs = find(prints_of(tmp_path, flat), ["train"] * 4)
    assert [(pair.image, pair.repeats, pair.kind) for pair in pairs] == [("train/3", "train/1", "exact")]


def test_size_belongs_to_an_image(tmp_path):
    zeros = [np.zeros((8, 4, 3), np.uint8), np.zeros((4, 8, 3), np.uint8)]
    assert find(prints_of(tmp_path, zeros), ["train"] * 2) == []


def test_files_that_cannot_be_read_are_told(crops, tmp_path):
    (tmp_path / "0001.txt").write_text("no image")
    encode_png(tmp_path / "0000.png", crops[0])
    prints = duplicates.take_prints([tmp_path / "0001.txt", tmp_path / "0000.png", tmp_path / "missing.png"])
    assert prints.refused == ((0, "not an image"), (2, "no such file"))
    assert prints.read.tolist() == [1]
    assert len(prints.hashes) == len(prints.digests) == 1


def test_blocks_hide_no_pair(crops, tmp_path, monkeypatch):
    images = [*crops[:9], *crops[:9]]
    prints = prints_of(tmp_path, images)
    whole = find(prints, ["train"] * 9 + ["test"] * 9)
    monkeypatch.setattr(duplicates, "_BLOCK", 4)
    assert find(prints, ["train"] * 9 + ["test"] * 9) == whole
    assert len(whole) == 9


def test_thousands_of_images_are_compared_in_little_memory():
    """And with the result of comparing every image with all before it at once."""
    number, rng = 5000, np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, number, np.uint64)
    copies = rng.permutation(number)[:600]
    hashes[copies] = hashes[rng.permutation(number)[:600]] ^ (np.uint64(1) << rng.integers(0, 64, 600, np.uint64))
    contents = rng.integers(0, 4 * number, number)  # some agree
    prints = duplicates.Prints(
        read=np.arange(number),
        digests=tuple(int(content).to_bytes(32, "little") for content in contents),
        hashes=hashes,
        shaped=rng.random(number) < 0.9,
        refused=(),
    )
    tests = rng.random(number) < 0.5
    splits = ["test" if test else "train" for test in tests]
    tracemalloc.start()
    pairs = find(prints, splits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12e6  # the matrix of all pairs would take 200 MB for its hashes alone
    expected = []
    for i in range(1, number):
        bits = np.bitwise_count(hashes[i] ^ hashes[:i]).astype(int)
        bits[~(prints.shaped[i] & prints.shaped[:i])] = 64
        bits[contents[i] == contents[:i]] = -1
        other = np.where(tests[:i] == tests[i], 64, bits)
        chosen = other if other.min() <= 4 else bits
        partner = int(chosen.argmin())
        if chosen[partner] <= 4:
            expected.append((f"{splits[i]}/{i}", f"{splits[partner]}/{partner}", max(0, chosen[partner])))
    assert [(pair.image, pair.repeats, pair.distance) for pair in pairs] == expected
    assert {pair.kind for pair in pairs} == {"exact", "near"} and len(pairs) > 800


def folders(root, photographs):
    for split, listed in photographs.items():
        (root / split / "real").mkdir(parents=True)
        for name in [*listed.get("photographs", ()), "unlisted"]:
            encode_png(root / split / "real" / f"{name}_00000.png", np.zeros((8, 8, 3), np.uint8))
        manifests.write_manifest(root / split, ["real"], {"real": listed})
    return {split: labelled.open_labelled(root, split=split, classes=("real",)) for split in photographs}


@pytest.mark.parametrize(
    ("train", "test", "shared"),
    [
        ({"photographs": ["a", "b"]}, {"photographs": ["c", "b"]}, ["b"]),
        ({"photographs": ["a", "b"]}, {"photographs": ["c"]}, []),
        ({"photographs": ["a"]}, {}, []),
        # Two views of one scene, where the photographs are the embedded ones; elsewhere a name is but a name.
        (
            {"source": "photos", "photographs": ["motorcycle_left"]},
            {"source": "photos", "photographs": ["motorcycle_right"]},
            ["motorcycle_left", "motorcycle_right"],
        ),
        ({"photographs": ["motorcycle_left"]}, {"photographs": ["motorcycle_right"]}, []),
    ],
)
def test_photographs_in_both_splits(tmp_path, train, test, shared):
    assert duplicates.shared_photographs(folders(tmp_path, {"train": train, "test": test})) == shared


def test_every_fold_of_the_photographs_keeps_them_apart(tmp_path):
    for fold in range(3):
        crops = {split: sources.photos(split=split, count=18, fold=fold) for split in ("train", "test")}
        origins = {split: {"source": "photos", "photographs": sorted(set(own.origins))} for split, own in crops.items()}
        assert duplicates.shared_photographs(folders(tmp_path / str(fold), origins)) == []
