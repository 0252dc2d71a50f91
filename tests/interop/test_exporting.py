"""Exported networks: what the job writes, and that the program alone, in a process of its own, answers the same."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from jax import export
from small_weights import CLASSES, generator, network

from configs import export_weights
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.voting import first_images
from ganfp_jax.interop.weights import digest, read_file, write_file
from ganfp_jax.jobs import export_weights as exporting
from ganfp_jax.jobs.export_weights import OUTPUTS, export_vote
from ganfp_jax.run.errors import UserError

# The five lines that lie beside the program, and the same program on images of ours; nothing of this project is there.
STRANGER = """
import sys
sys.modules["ganfp_jax"] = sys.modules["flax"] = None  # an import of these is an error
{usage}
assert not [name for name in sys.modules if name.startswith(("ganfp_jax.", "flax.", "orbax", "safetensors"))]
images = np.load("images.npy")
for n in {counts}:
    np.savez(f"answer{{n}}.npz", **vote.call(images[:n]))
"""


def run(source, workdir, **changes):
    exporting.run(export_weights.get_config().to_dict() | {"checkpoint": str(source)} | changes, workdir)


def refusal(call, *arguments, **keywords):
    with pytest.raises(UserError) as error:
        call(*arguments, **keywords)
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "network.safetensors"
    write_file(path, network())
    return path


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(5).integers(0, 256, (7, 16, 16, 3), np.uint8)


def ask_in_a_new_process(folder, images, counts):
    """What the program in `folder` answers about the first n images, for each n."""
    described = json.loads((folder / "vote.json").read_text())
    np.save(folder / "images.npy", images)
    code = STRANGER.format(usage="\n".join(described["usage"]), counts=counts)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert any(name in done.stdout for name in CLASSES)
    return {n: dict(np.load(folder / f"answer{n}.npz")) for n in counts}


def assert_same_votes(answer, vote):
    outputs = vote._asdict()
    del outputs["distance"]  # which is of the package's own votes
    assert answer.keys() == OUTPUTS.keys() == outputs.keys()
    for name, expected in outputs.items():
        assert (answer[name].dtype, answer[name].shape) == (expected.dtype, expected.shape), name
    scale = np.abs(vote.view_logits).max()
    np.testing.assert_allclose(answer["view_logits"] / scale, vote.view_logits / scale, rtol=0, atol=1e-6)
    np.testing.assert_allclose(answer["probabilities"], vote.probabilities, rtol=0, atol=1e-5)
    for name in ("predicted", "votes", "view_predictions"):
        np.testing.assert_array_equal(answer[name], getattr(vote, name))


def test_the_program_alone_answers_as_the_package_does(tmp_path, file, images, capsys):
    run(file, tmp_path, format="stablehlo", views="seed")
    out = capsys.readouterr().out
    assert "compared on 2 images of noise" in out
    described = json.loads((tmp_path / "vote.json").read_text())
    assert (described["classes"], described["rule"], described["resolution"]) == (CLASSES, "majority", 16)
    assert described["views"] == ["identity", "rot90", "rot270", "vertical_flip"]
    assert described["platforms"] == ["cpu", "cuda", "tpu"]
    assert described["digest"] == digest(network().variables)
    program = (tmp_path / "vote.stablehlo").read_bytes()
    assert described["sha256"] == hashlib.sha256(program).hexdigest()
    assert len(described["usage"]) == 5
    assert all(line in out for line in described["usage"])
    vote = Attributor.load(file).vote(images, "seed", "majority", len(images))
    for n, answer in ask_in_a_new_process(tmp_path, images, [1, 7]).items():
        assert_same_votes(answer, first_images(vote, n))


def test_a_program_for_one_number_of_images(tmp_path, file, images):
    run(file, tmp_path, format="stablehlo", batch_size=3, views="identity,rot15", rule="mean_logit", platforms=["cpu"])
    described = json.loads((tmp_path / "vote.json").read_text())
    assert (described["views"], described["batch_size"]) == (["identity", "rot15"], 3)
    program = export.deserialize(bytearray((tmp_path / "vote.stablehlo").read_bytes()))
    answer = {name: np.asarray(array) for name, array in program.call(images[:3]).items()}
    assert_same_votes(answer, Attributor.load(file).vote(images[:3], "identity,rot15", "mean_logit", 3))
    with pytest.raises(ValueError, match="shape"):
        program.call(images[:2])
    # The usage names a batch that the program takes.
    ask_in_a_new_process(tmp_path, images, [3])


def test_a_program_for_an_accelerator():
    """Such a program can be made anywhere, of every kind of view, and run only there."""
    views = "identity,rot15,shift2_0,crop12"
    data = export_vote(network("fingerprint"), views=views, rule="majority", platforms=["tpu"])
    program = export.deserialize(bytearray(data))
    assert program.platforms == ("tpu",)
    (image,) = program.in_avals
    n = image.shape[0]
    assert (image.dtype, image.shape[1:]) == (np.uint8, (16, 16, 3))
    shapes = dict(zip(sorted(OUTPUTS), [spec.shape for spec in program.out_avals], strict=True))
    assert shapes["view_logits"] == (4, n, 3)
    assert shapes["view_predictions"] == (4, n)
    assert shapes["votes"] == shapes["probabilities"] == (n, 3)
    assert shapes["predicted"] == (n,)
    with pytest.raises(ValueError, match="tpu"):
        program.call(np.zeros((1, 16, 16, 3), np.uint8))


def test_programs_are_reproducible_and_hold_no_path(file):
    settings = {"views": "mirror", "rule": "majority", "platforms": ["cpu"]}
    program = export_vote(read_file(file), **settings)
    assert program == export_vote(read_file(file), **settings)
    assert program != export_vote(network(seed=1), **settings)
    for path in (exporting.__file__, Attributor.__module__.replace(".", "/"), "voting.py"):
        assert path.encode() not in program


def test_a_program_that_answers_otherwise_is_not_written(tmp_path, file, monkeypatch):
    def export_another(weights, **settings):
        return export_vote(network(seed=1), **settings)

    monkeypatch.setattr(exporting, "export_vote", export_another)
    settings = {"format": "stablehlo", "views": "identity", "platforms": ["cpu"]}
    assert "does not answer as its network does" in refusal(run, file, tmp_path, **settings)
    assert not list(tmp_path.iterdir())


def test_a_program_for_elsewhere_is_written_without_comparison(tmp_path, file, capsys):
    run(file, tmp_path, format="stablehlo", views="identity", platforms=["tpu"])
    assert "not compared: this machine computes on cpu, the program is for tpu" in capsys.readouterr().out
    assert (tmp_path / "vote.stablehlo").is_file()


def test_open_weights(tmp_path, file, capsys):
    run(file, tmp_path)
    out = capsys.readouterr().out
    path = tmp_path / "weights.safetensors"
    assert path.read_bytes() == file.read_bytes()
    assert f"--config.checkpoint={path}" in out
    for part in (digest(network().variables), "visnet_classifier", ", ".join(CLASSES), "16x16", "step 8"):
        assert part in out


def test_a_generator_to_a_file_of_ones_own(tmp_path, capsys):
    source, path = tmp_path / "given.safetensors", tmp_path / "out" / "sngan.safetensors"
    write_file(source, generator("sngan"))
    run(source, tmp_path / "unused", file=str(path))
    assert f"--config.generator={path}" in capsys.readouterr().out
    assert path.read_bytes() == source.read_bytes()
    assert not (tmp_path / "unused").exists()
    message = refusal(run, source, tmp_path, format="stablehlo")
    assert "holds no attribution network (but 'sngan_generator')" in message


def test_a_file_that_does_not_read_back_is_told(tmp_path, file, monkeypatch):
    monkeypatch.setattr(exporting, "read_file", lambda path: network(seed=1))
    assert "does not read back as it was written" in refusal(run, file, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": ""}, "config.checkpoint is empty"),
        ({"format": "pickle"}, "config.format 'pickle' is unknown; choose one of safetensors, stablehlo"),
        ({"file": "weights.npz"}, "config.file weights.npz is to be a file of safetensors; end it in .safetensors"),
        ({"format": "stablehlo", "file": "x.safetensors"}, "end it in .stablehlo"),
        ({"format": "stablehlo", "batch_size": -1}, "config.batch_size is -1"),
        ({"format": "stablehlo", "platforms": []}, "config.platforms is []"),
        ({"format": "stablehlo", "platforms": ["cpu", "npu"]}, "a list of one or more of cpu, cuda, rocm, tpu"),
        ({"format": "stablehlo", "views": "rot45x"}, "rot45x"),
        ({"format": "stablehlo", "rule": "loudest"}, "unknown vote rule 'loudest'"),
    ],
)
def test_settings_that_do_not_fit(tmp_path, file, changes, message):
    assert message in refusal(run, file, tmp_path, **changes)
    assert not list(tmp_path.iterdir())


def test_a_network_that_answers_with_a_map_has_no_vote(tmp_path):
    write_file(tmp_path / "map.safetensors", network(latent_res=4))
    assert "a map of logits" in refusal(run, tmp_path / "map.safetensors", tmp_path / "out", format="stablehlo")


def test_a_place_that_cannot_be_written_to(tmp_path, file):
    (tmp_path / "file").write_text("")
    settings = {"format": "stablehlo", "views": "identity", "platforms": ["cpu"]}
    message = refusal(run, file, tmp_path, file=str(tmp_path / "file" / "x.stablehlo"), **settings)
    assert "cannot write to config.file" in message
