"""Exported networks: what the job writes, and that the program alone, in a process of its own, answers the same."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jax import export
from PIL import Image
from small_weights import CLASSES, generator, network

from configs import export_weights
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.voting import first_images
from ganfp_jax.data.views import EXACT_VIEWS
from ganfp_jax.interop.weights import digest, read_file, write_file
from ganfp_jax.jobs import export_weights as exporting
from ganfp_jax.jobs.export_weights import onnx_file, open_weights, program
from ganfp_jax.jobs.export_weights.program import OUTPUTS, export_vote
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.run_folder import write_json

DOCS = Path(__file__).parents[2] / "docs"

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

    monkeypatch.setattr(program, "export_vote", export_another)
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


def evaluated(folder, file, **changes):
    """The run folder of an evaluation of a network."""
    folder.mkdir()
    write_json(folder / "config.json", {"job": "evaluate", "checkpoint": str(file), "perturb": "none"} | changes)
    metrics = {"accuracy": 0.9375, "correct": 15, "total": 16, "ci95": [0.717, 0.989], "classes": CLASSES}
    write_json(folder / "metrics.json", metrics | {"rule": "majority", "views": ["identity"]})
    return str(folder)


def test_a_folder_has_a_card_with_what_was_measured(tmp_path, file, capsys):
    evaluation = evaluated(tmp_path / "evaluation", file)
    run(file, tmp_path, format="folder", license="mit", evaluation=evaluation, file=str(tmp_path / "my.sources"))
    folder = tmp_path / "my.sources"
    assert f"Attributor.from_pretrained({str(folder)!r})" in capsys.readouterr().out
    assert (folder / "model.safetensors").read_bytes() == file.read_bytes()
    card = (folder / "README.md").read_text()
    assert "license: mit\n" in card and "0.9375" in card and "# my.sources\n" in card
    run(file, tmp_path, format="folder")
    assert (tmp_path / "model" / "config.json").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"job": "ablation"}, "is no run folder of configs/evaluate.py"),
        ({"perturb": "jpeg75"}, "is of perturbed images"),
        ({"checkpoint": "photos32"}, "is of other weights"),
    ],
)
def test_an_evaluation_of_something_else_is_not_claimed(tmp_path, file, changes, message):
    evaluation = evaluated(tmp_path / "evaluation", file, **changes)
    assert message in refusal(run, file, tmp_path / "out", format="folder", evaluation=evaluation)
    assert not (tmp_path / "out").exists()


def test_an_evaluation_without_metrics_is_one_line(tmp_path, file):
    evaluation = evaluated(tmp_path / "evaluation", file)
    (tmp_path / "evaluation" / "metrics.json").write_text("{")
    message = refusal(run, file, tmp_path / "out", format="folder", evaluation=evaluation)
    assert "metrics.json cannot be read" in message


def test_a_file_that_does_not_read_back_is_told(tmp_path, file, monkeypatch):
    monkeypatch.setattr(open_weights, "read_file", lambda path: network(seed=1))
    assert "does not read back as it was written" in refusal(run, file, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"checkpoint": ""}, "config.checkpoint is empty"),
        ({"format": "pickle"}, "config.format 'pickle' is unknown; choose one of safetensors, folder, onnx, stablehlo"),
        ({"file": "weights.npz"}, "config.file weights.npz is to be a file of safetensors; end it in .safetensors"),
        ({"format": "stablehlo", "file": "x.safetensors"}, "end it in .stablehlo"),
        ({"format": "onnx", "file": "x.pb"}, "config.file x.pb is to be a file of onnx; end it in .onnx"),
        ({"format": "onnx", "views": "crop16"}, "a crop must be smaller"),
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


@pytest.mark.parametrize("kind", ["onnx", "stablehlo"])
def test_a_network_that_answers_with_a_map_has_no_vote(tmp_path, kind):
    write_file(tmp_path / "map.safetensors", network(latent_res=4))
    assert "a map of logits" in refusal(run, tmp_path / "map.safetensors", tmp_path / "out", format=kind)


def test_an_onnx_file_has_the_vote_of_the_training_and_its_calibration(tmp_path, capsys):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    run("photos32", tmp_path, format="onnx")
    out = capsys.readouterr().out
    facts = {entry.key: json.loads(entry.value) for entry in onnx.load(tmp_path / "vote.onnx").metadata_props}
    attributor = Attributor.load("photos32")
    assert facts["calibration"] == json.loads(json.dumps(attributor.calibration.to_dict()))
    assert (facts["views"], facts["rule"]) == (list(EXACT_VIEWS), "majority")
    for said in (
        "compared on 2 images of noise",
        attributor.calibration.where_unsure,
        "InferenceS",
    ):
        assert said in out
    run("photos32", tmp_path, format="onnx", views="identity")
    assert "nowhere: this vote is not calibrated" in capsys.readouterr().out
    facts = {entry.key: json.loads(entry.value) for entry in onnx.load(tmp_path / "vote.onnx").metadata_props}
    assert (facts["views"], facts["calibration"]) == (["identity"], None)


def test_an_onnx_file_computes_in_single_precision(tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    write_file(tmp_path / "half.safetensors", network(dtype="bfloat16"))
    run(tmp_path / "half.safetensors", tmp_path, format="onnx", views="identity")
    assert "compared on" in capsys.readouterr().out


def test_the_lines_of_the_docs_ask_an_onnx_file(tmp_path):
    pytest.importorskip("onnxruntime")
    (lines,) = re.findall(r"```python\n(import [^`]*onnxruntime[^`]*)```", (DOCS / "elsewhere.md").read_text())
    assert lines == onnx_file.USAGE.format(name="vote.onnx")
    run("photos32", tmp_path, format="onnx", views="mirror")
    photo = np.random.default_rng(0).integers(0, 256, (50, 41, 3), np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    blocked = "import sys\nsys.modules.update(dict.fromkeys(['ganfp_jax', 'jax', 'flax']))\n"  # an import is an error
    command = [sys.executable, "-c", blocked + lines]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (verdict,) = Attributor.load("photos32").attribute([photo[9:41, 4:36]], views="mirror")
    assert done.stdout.startswith(f"{verdict.verdict} [")


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_one_line(tmp_path, file, monkeypatch, package):
    pytest.importorskip("onnxruntime")
    for name in [name for name in sys.modules if name.startswith("ganfp_jax.interop.onnx_graph")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    message = refusal(run, file, tmp_path / "out", format="onnx", views="identity")
    assert package in message and "pip install 'ganfp_jax[onnx]'" in message
    assert not (tmp_path / "out").exists()


def test_an_onnx_file_that_answers_otherwise_is_not_written(tmp_path, file, monkeypatch):
    pytest.importorskip("onnxruntime")
    from ganfp_jax.interop.onnx_graph import vote

    written = vote.vote_graph
    monkeypatch.setattr(vote, "vote_graph", lambda weights, *vote, **facts: written(network(seed=1), *vote, **facts))
    assert "another version of onnxruntime" in refusal(run, file, tmp_path, format="onnx", views="identity")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to(tmp_path, file):
    (tmp_path / "file").write_text("")
    settings = {"format": "stablehlo", "views": "identity", "platforms": ["cpu"]}
    message = refusal(run, file, tmp_path, file=str(tmp_path / "file" / "x.stablehlo"), **settings)
    assert "cannot write to config.file" in message
