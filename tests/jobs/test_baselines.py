import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from configs import baselines as config_file
from ganfp_jax import baselines
from ganfp_jax.baselines import metadata
from ganfp_jax.data.decode import encode_png
from ganfp_jax.jobs import baselines as job
from ganfp_jax.run.errors import UserError

SOURCES = ("real", "ProGAN")


def write_set(root, split, count, seed, trace=40):
    """Noise, of which one source is brighter."""
    rng = np.random.default_rng(seed)
    for k, source in enumerate(SOURCES):
        (root / split / source).mkdir(parents=True)
        for i in range(count):
            image = rng.integers(0, 128, (8, 8, 3)) + trace * k
            encode_png(root / split / source / f"{source}_{i:08d}.png", image.astype(np.uint8))
    return root


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    root = tmp_path_factory.mktemp("set")
    write_set(root, "train", 30, seed=0)
    return write_set(root, "test", 20, seed=1)


def config_of(root, **changes):
    config = config_file.get_config("tiny").to_dict()
    return config | {
        "data": {"root": str(root), "resize": "crop", "layout": "auto"},
        "resolution": 8, "checkpoint": "", "train_counts": (5, 20, 500),
    } | changes  # fmt: skip


@pytest.fixture(scope="module")
def done(images, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("job")
    job.run(config_of(images), workdir)
    return workdir, json.loads((workdir / "baselines.json").read_text())


def test_the_table_has_every_method_count_and_condition(done):
    workdir, results = done
    rows = list(csv.DictReader((workdir / "baselines.csv").read_text().splitlines()))
    assert tuple(rows[0]) == job.COLUMNS
    assert results["images_per_source"] == [5, 20, 30]  # 500 are not there
    methods = {*config_file.get_config("tiny").methods}
    files = {name for name, baseline in baselines.BASELINES.items() if baseline.needs == "paths"}
    immunised = {"logistic_log_dct_immunised", "logistic_log_packets_immunised"}
    assert {(row["method"], row["condition"]) for row in rows} == {
        *((name, "clean") for name in methods | immunised),
        *((name, "jpeg75") for name in methods - files | immunised),
    }
    for row in rows:
        assert (row["total"], row["images_per_source"] in ("5", "20", "30")) == ("40", True)
        assert float(row["ci95_low"]) <= float(row["accuracy"]) == int(row["correct"]) / 40 <= float(row["ci95_high"])
        assert float(row["seconds_fit"]) >= 0
    right = {(row["method"], row["condition"], row["images_per_source"]): int(row["correct"]) for row in rows}
    assert right["logistic_pixels", "clean", "30"] >= 36
    # All files are written alike: the control names one source for all.
    assert [right["metadata", "clean", count] for count in ("5", "20", "30")] == [20, 20, 20]
    with Image.open(workdir / "low_data.png") as picture:
        assert picture.size[0] > 800


def test_immunised_baselines_are_fitted_on_perturbed_images(images, tmp_path, monkeypatch):
    seen = []
    whole = job.measure
    monkeypatch.setattr(job, "measure", lambda *given: seen.append(given[2].images) or whole(*given))
    settings = {"methods": ("knn",), "immunised_methods": ("knn",), "perturb": ("none",), "train_counts": (30,)}
    job.run(config_of(images, **settings), tmp_path)
    plain, immunised = seen
    assert 15 < (plain != immunised).any((1, 2, 3)).sum() < 45  # half of 60
    rows = json.loads((tmp_path / "baselines.json").read_text())["rows"]
    assert [row["method"] for row in rows] == ["knn", "knn_immunised"]


def test_what_is_cut_and_what_is_reached_is_printed(images, tmp_path, capsys):
    job.run(config_of(images, methods=("knn", "metadata"), train_counts=(5, 500)), tmp_path)
    out = capsys.readouterr().out
    assert "asks for 500 images a source; there are 30, which are taken" in out
    assert "nearest neighbours on pixels" in out
    assert "control: metadata of the files only" in out


def test_a_run_that_was_stopped_goes_on(images, tmp_path, monkeypatch):
    config = config_of(images, methods=("knn", "prnu"), immunised_methods=(), train_counts=(10,))
    whole = job.measure
    monkeypatch.setattr(job, "measure", lambda name, *rest: whole(name, *rest) if name == "knn" else 1 / 0)
    with pytest.raises(ZeroDivisionError):
        job.run(config, tmp_path)
    assert not (tmp_path / "baselines.json").exists()
    monkeypatch.setattr(job, "measure", lambda name, *rest: whole(name, *rest) if name == "prnu" else 1 / 0)
    job.run(config, tmp_path)
    assert {row["method"] for row in json.loads((tmp_path / "baselines.json").read_text())["rows"]} == {"knn", "prnu"}


def test_nothing_is_chosen_on_test_images(images, done, tmp_path):
    other = tmp_path / "images"
    shutil.copytree(images / "train", other / "train")
    write_set(other, "test", 20, seed=2, trace=100)
    methods = {"methods": ("knn", "eigenface", "prnu"), "immunised_methods": ()}
    job.run(config_of(other, **methods, perturb=("none",)), tmp_path / "job")
    rows = json.loads((tmp_path / "job" / "baselines.json").read_text())["rows"]
    before = {(row["method"], row["images_per_source"]): row["settings"] for row in done[1]["rows"]}
    assert [row["settings"] for row in rows] == [before[row["method"], row["images_per_source"]] for row in rows]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": ("knn", "knm")}, "unknown baseline 'knm'"),
        ({"perturb": ("jpeg0",)}, "unknown perturbation 'jpeg0'"),
        ({"train_counts": ()}, "give one number of images or more"),
        ({"train_counts": (0, 5)}, "each 1 or more"),
        ({"resolution": 16}, "no image of .* could be read"),
    ],
)
def test_baselines_tell_of_bad_configs(images, tmp_path, changes, said):
    with pytest.raises(UserError, match=said):
        job.run(config_of(images, **changes), tmp_path)


def test_a_folder_without_a_split(images, tmp_path):
    with pytest.raises(UserError, match="not split"):
        job.run(config_of(images / "train"), tmp_path)


# The control


def write_files(folder, count, write):
    folder.mkdir()
    rng = np.random.default_rng(0)
    paths = [folder / f"{i}.png" for i in range(count)]
    for i, path in enumerate(paths):
        write(path, Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)), i)
    return paths


def accuracy_of(name, paths):
    labels = np.arange(len(paths)) % 2
    fitted = baselines.fit(name, paths[:60], labels[:60], SOURCES)
    return float((baselines.predict(fitted, paths[60:])[0] == labels[60:]).mean())


def test_metadata_is_at_chance_where_all_files_are_written_alike(tmp_path):
    paths = write_files(tmp_path / "a", 100, lambda path, image, i: image.save(path))
    assert accuracy_of("metadata", paths) == 0.5
    assert len({metadata.tokens(path) for path in paths}) == 1  # whatever the pixels, the name and the number of bytes


def chunk(path, image, i):
    text = PngInfo()
    text.add_text("Software", "trainer" if i % 2 else "camera")
    image.save(path, pnginfo=text)


@pytest.mark.parametrize(
    "write",
    [
        chunk,
        lambda path, image, i: image.save(path, dpi=(72, 72) if i % 2 else None),
        lambda path, image, i: image.save(path, format="PNG" if i % 2 else "JPEG"),
        lambda path, image, i: image.save(path, format="JPEG", quality=75 + i % 2),
        lambda path, image, i: image.resize((8 + i % 2, 8)).save(path),
        lambda path, image, i: image.convert("RGBA" if i % 2 else "RGB").save(path),
        lambda path, image, i: path.write_bytes(b"no image") if i % 2 else image.save(path),
    ],
    ids=["text", "dpi", "format", "quality", "size", "mode", "unreadable"],
)
def test_metadata_finds_what_is_planted(tmp_path, write):
    assert accuracy_of("metadata", write_files(tmp_path / "a", 100, write)) == 1


def test_what_only_one_file_says_is_not_learnt(tmp_path):
    def number(path, image, i):
        text = PngInfo()
        text.add_text("Number", str(i))
        image.save(path, pnginfo=text)

    assert accuracy_of("metadata", write_files(tmp_path / "a", 300, number)) == 0.5


def test_tokens_of_a_png_file(tmp_path):
    (path,) = write_files(tmp_path / "a", 1, chunk)
    assert metadata.tokens(path) >= {
        *("suffix=.png", "format=PNG", "size=8x8", "mode=RGB", "chunk=IHDR", "chunk=tEXt", "chunk=IDAT"),
        *("text Software", "text Software=camera"),
    }


def test_file_size_sees_what_compresses_well(tmp_path):
    def flat(path, image, i):
        (image if i % 2 else Image.new("RGB", image.size, (i, 2 * i, 255))).save(path)

    assert accuracy_of("file_size", write_files(tmp_path / "a", 100, flat)) == 1
