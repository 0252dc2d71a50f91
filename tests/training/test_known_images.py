"""What is said where the folder of a training has other images than it was begun with."""

import json
from pathlib import Path

import pytest

from configs import attribution, sngan
from ganfp_jax.data import labelled
from ganfp_jax.run.errors import UserError
from ganfp_jax.training.known_images import check, warning_of

END = 10


@pytest.fixture
def root(tmp_path):
    """A listing does not look into the files."""
    for source in ("ProGAN", "real"):
        add(tmp_path / "data" / source, "a.png", "b.png")
    return tmp_path / "data"


def add(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def network(root):
    return attribution.get_config("tiny").to_dict() | {"data": {"root": str(root), "layout": "auto", "crop_from": 0}}


def gan(root):
    data = sngan.get_config("tiny").to_dict()["data"]
    return sngan.get_config("tiny").to_dict() | {"data": data | {"source": "folder", "folder": {"root": str(root)}}}


@pytest.mark.parametrize("config_of", [network, gan])
@pytest.mark.parametrize(
    ("step", "words"),
    [(END, "has not seen the new ones; train on them in another --workdir"), (4, "goes on with those there now")],
)
def test_new_images_are_told(root, tmp_path, capsys, config_of, step, words):
    config = config_of(root)
    check(config, tmp_path, 0, END)
    check(config, tmp_path, step, END)
    assert capsys.readouterr().out == ""
    add(root / "real", "c.png")
    check(config, tmp_path, step, END)
    out = capsys.readouterr().out
    assert "other images than when" in out
    assert "(5 now, 4 then)" in out
    assert words in out
    check(config, tmp_path, step, END)
    assert ("5 now" in capsys.readouterr().out) == (step == END)  # told once to a run that goes on with them


def test_the_same_number_of_other_images_is_told(root, tmp_path, capsys):
    check(network(root), tmp_path, 0, END)
    (root / "real" / "a.png").rename(root / "real" / "z.png")
    check(network(root), tmp_path, END, END)
    assert "(4 now, 4 then)" in capsys.readouterr().out


@pytest.mark.parametrize("step", [4, END])
def test_new_classes_are_refused(root, tmp_path, step):
    check(network(root), tmp_path, 0, END)
    add(root / "SNGAN", "a.png")
    with pytest.raises(UserError, match=r"has the classes ProGAN, SNGAN, real, the network in .* ProGAN, real; train"):
        check(network(root), tmp_path, step, END)
    check(network(root), tmp_path, 0, END)  # a run that has not begun takes what there is
    assert json.loads((tmp_path / "images.json").read_text())["classes"] == ["ProGAN", "SNGAN", "real"]


def test_another_order_of_the_classes_matters_until_the_end(root, tmp_path):
    check(network(root), tmp_path, 0, END)
    (root / "manifest.json").write_text(json.dumps({"classes": ["real", "ProGAN"]}))
    check(network(root), tmp_path, END, END)
    with pytest.raises(UserError, match="has the classes real, ProGAN"):
        check(network(root), tmp_path, 4, END)


def test_a_run_that_recorded_nothing_has_its_checkpoint_s_classes(root, tmp_path, capsys):
    metadata = tmp_path / "checkpoints" / "10" / "metadata"
    metadata.mkdir(parents=True)
    (metadata / "metadata").write_text(json.dumps({"classes": ["ProGAN", "real"]}))
    check(network(root), tmp_path, END, END)
    assert capsys.readouterr().out == ""
    (metadata / "metadata").write_text(json.dumps({"classes": ["ProGAN", "SNGAN"]}))
    with pytest.raises(UserError, match="was made for ProGAN, SNGAN"):
        check(network(root), tmp_path, END, END)


def test_photographs_of_packages_are_not_listed(tmp_path):
    check(sngan.get_config("tiny").to_dict(), tmp_path, 0, END)
    assert not (tmp_path / "images.json").exists()


RECORD = {"root": "data", "images": 4, "digest": "x", "classes": ["ProGAN", "real"]}


@pytest.mark.parametrize(
    "record",
    ["{", "[]", "5", "{}"]
    + [json.dumps(RECORD | {key: value}) for key in RECORD for value in (None, [{}], [5, "real"], 0.5)],
)
def test_a_damaged_record_is_one_line(root, tmp_path, record):
    (tmp_path / "images.json").write_text(record)
    with pytest.raises(UserError, match=r"images.json is damaged .*; delete it"):
        check(network(root), tmp_path, END, END)


@pytest.mark.parametrize("metadata", [{}, {"classes": None}, {"classes": 5}, {"classes": [5, "real"]}])
def test_a_damaged_checkpoint_is_one_line(root, tmp_path, metadata):
    path = tmp_path / "checkpoints" / str(END) / "metadata" / "metadata"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(metadata))
    with pytest.raises(UserError, match=rf"checkpoint .*{END} cannot be read .*; train again"):
        check(network(root), tmp_path, END, END)


def test_images_that_were_trained_on_are_known(root, tmp_path):
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    assert warning_of(str(run_folder), labelled.open_labelled(root)) == ""
    check(network(root), run_folder, 0, END)
    assert "holds the images that" in warning_of(str(run_folder), labelled.open_labelled(root))
    for source in ("ProGAN", "real"):  # of the same names, but another folder
        add(tmp_path / "others" / source, "a.png", "b.png")
    assert warning_of(str(run_folder), labelled.open_labelled(tmp_path / "others")) == ""
    add(root / "real", "c.png")
    assert warning_of(str(run_folder), labelled.open_labelled(root)) == ""
