"""Run folders of strangers: any damage is one line, found before memory is taken; only what is used is read."""

import json
import os
import resource
import shutil
import struct
import sys

import jax
import numpy as np
import pytest
import tensorstore
from small_weights import CLASSES, generator, network, run_folder

from configs import attribution, cramergan
from ganfp_jax.interop.load import load
from ganfp_jax.run.errors import UserError
from ganfp_jax.training import stored
from ganfp_jax.training.checkpoint import Checkpoints

WEIGHT = "network.params.16x16.Conv0.weight"
SHAPE = [3, 3, 3, 4]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two checkpoints of an attribution network; the tests damage copies."""
    config = attribution.get_config("tiny").to_dict()
    return run_folder(tmp_path_factory.mktemp("runs") / "run", config, {8: network(seed=1), 16: network(seed=2)})


@pytest.fixture(scope="module")
def trained_gan(tmp_path_factory):
    config = cramergan.get_config("tiny").to_dict()
    return run_folder(tmp_path_factory.mktemp("runs") / "gan", config, {8: generator("cramergan")})


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def refusal(call, *arguments):
    before = peak()
    with pytest.raises(UserError) as error:
        call(*arguments)
    message = str(error.value)
    assert message.isprintable() and len(message) < 2_000, message
    assert peak() - before < 512 << 20
    return message


def peak():
    """Bytes of memory that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def damage_config(change):
    def damage(folder):
        path = folder / "config.json"
        config = json.loads(path.read_text())
        changed = change(config)
        path.write_text(changed if isinstance(changed, str) else json.dumps(config))

    return damage


def damage_metadata(change):
    def damage(folder):
        path = folder / "checkpoints" / "16" / "metadata" / "metadata"
        metadata = json.loads(path.read_text())
        changed = change(metadata)
        path.write_text(changed if isinstance(changed, str) else json.dumps(metadata))

    return damage


def sparse(path):
    with path.open("wb") as file:
        file.truncate(6 << 30)


def in_place_of(name, make):
    def damage(folder):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        make(path)

    return damage


STEP = "checkpoints/16"
CONFIG = {
    "missing": (lambda folder: (folder / "config.json").unlink(), "is not a run folder: it has no config.json"),
    "empty": (damage_config(lambda c: ""), "config.json is damaged"),
    "half": (damage_config(lambda c: json.dumps(c)[:99]), "config.json is damaged"),
    "a list": (damage_config(lambda c: "[]"), "config.json is damaged (it is no JSON object)"),
    "a number": (damage_config(lambda c: "5"), "config.json is damaged (it is no JSON object)"),
    "null": (damage_config(lambda c: "null"), "config.json is damaged (it is no JSON object)"),
    "nested": (damage_config(lambda c: "[" * 100_000), "config.json is damaged (it is nested too deeply)"),
    "nested less": (damage_config(lambda c: c.update(x=nested(500))), "config.json is damaged (it is nested too"),
    "many digits": (damage_config(lambda c: '{"x": ' + "1" * 5_000 + "}"), "config.json is damaged"),
    "no UTF-8": (lambda folder: (folder / "config.json").write_bytes(b'{"a": "\xff"}'), "config.json is damaged"),
    "a folder": (in_place_of("config.json", lambda path: path.mkdir()), "it has no config.json"),
    "a pipe": (in_place_of("config.json", os.mkfifo), "it has no config.json"),
    "6 GiB of nothing": (in_place_of("config.json", sparse), "config.json is damaged (it has 6,442,450,944 bytes"),
    "no model": (damage_config(lambda c: c.pop("model") and None), "(KeyError: 'model')"),
    "model a list": (
        damage_config(lambda c: c.update(model=[])),
        "does not say how to use its network",
    ),
    "model a number": (
        damage_config(lambda c: c.update(model=5)),
        "does not say how to use its network",
    ),
    "model without name": (damage_config(lambda c: c["model"].pop("name") and None), "cannot be made here"),
    "unknown model": (damage_config(lambda c: c["model"].update(name="x")), "model 'x' is unknown"),
    "another model": (
        damage_config(lambda c: c["model"].update(fmap_base=64)),
        "does not hold the weights of its network",
    ),
    "a huge model": (
        damage_config(lambda c: c["model"].update(fmap_base=2**20, fmap_max=2**16)),
        "cannot be made here",
    ),
    "no augment": (damage_config(lambda c: c.pop("augment") and None), "(KeyError: 'augment')"),
    "augment a number": (damage_config(lambda c: c.update(augment=5)), "about.augment is 5"),
    "no resolution": (damage_config(lambda c: c.pop("resolution") and None), "(KeyError: 'resolution')"),
    "resolution a text": (damage_config(lambda c: c.update(resolution="x")), "cannot be made here"),
    "resolution too large": (damage_config(lambda c: c.update(resolution=2**40)), "no size of a network is above"),
    "no program": (damage_config(lambda c: c.pop("program") and None), "holds no network (but 'train')"),
    "program a list": (damage_config(lambda c: c.update(program=["gan"])), "holds no network (but ('gan'))"),
    "another program": (damage_config(lambda c: c.update(program="gan")), "does not say how to use its network"),
}
METADATA = {
    "missing": (
        lambda folder: (folder / STEP / "metadata" / "metadata").unlink(),
        "(FileNotFoundError",
    ),
    "empty": (damage_metadata(lambda m: ""), "16 cannot be read"),
    "a list": (damage_metadata(lambda m: "[1]"), "its metadata is no JSON object"),
    "nested": (damage_metadata(lambda m: "[" * 100_000), "nested too deeply"),
    "a pipe": (in_place_of(f"{STEP}/metadata/metadata", os.mkfifo), "not a regular file"),
    "a folder": (in_place_of(f"{STEP}/metadata/metadata", lambda path: path.mkdir()), "Is a directory"),
    "6 GiB of nothing": (in_place_of(f"{STEP}/metadata/metadata", sparse), "over the limit of"),
    "no classes": (damage_metadata(lambda m: m.clear()), "(KeyError: 'classes')"),
    "classes a number": (damage_metadata(lambda m: m.update(classes=3)), "metadata is damaged (TypeError"),
    "classes a text": (damage_metadata(lambda m: m.update(classes="abc")), "about.classes is 'abc' in the place of 3"),
    "one class too many": (damage_metadata(lambda m: m["classes"].append("x")), "in the place of F32 4"),
    "one class missing": (damage_metadata(lambda m: m["classes"].pop() and None), "in the place of F32 2"),
    "a class twice": (damage_metadata(lambda m: m["classes"].__setitem__(2, "real")), "'real' stands there twice"),
    "a class no text": (damage_metadata(lambda m: m["classes"].__setitem__(2, None)), "None is no text but NoneType"),
    "half a letter": (damage_metadata(lambda m: m["classes"].__setitem__(2, "\ud800")), "'\\ud800' is no UTF-8"),
    "a way out": (damage_metadata(lambda m: m["classes"].__setitem__(2, "../x")), "'../x' has a path separator"),
    "a line": (damage_metadata(lambda m: m["classes"].__setitem__(2, "a\nb")), r"'a\nb' has a control character"),
}


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def database(folder):
    base = {"driver": "file", "path": f"{folder / STEP / 'state'}/"}
    return tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()


def declare(name=WEIGHT, data=None, **changes):
    """Replaces what an array declares and, if wanted, its only block."""

    def damage(folder):
        stored_in = database(folder)
        array = {
            "chunks": SHAPE, "compressor": {"id": "zstd", "level": 1}, "dimension_separator": ".", "dtype": "<f4",
            "fill_value": None, "filters": None, "order": "C", "shape": SHAPE, "zarr_format": 2,
        } | changes  # fmt: skip
        stored_in.write(f"{name}/.zarray", json.dumps(array)).result()
        if data is not None:
            stored_in.write(f"{name}/{'.'.join('0' for _ in array['shape'])}", data).result()

    return damage


def zeros(num_bytes):
    """A Zstandard frame of zeros: 4 bytes for each 128 KiB."""
    block = 128 << 10
    frame = bytearray(b"\x28\xb5\x2f\xfd\x00\x38")
    for left in range(num_bytes, 0, -block):
        frame += struct.pack("<I", min(block, left) << 3 | 1 << 1 | (left <= block))[:3] + b"\0"
    return bytes(frame)


def largest_file(folder):
    return max((folder / STEP / "state").rglob("d/*"), key=lambda path: path.stat().st_size)


def cut(folder):
    path = largest_file(folder)
    path.write_bytes(path.read_bytes()[:1000])


def flip_manifest(folder):
    path = folder / STEP / "state" / "manifest.ocdbt"
    content = bytearray(path.read_bytes())
    content[20] ^= 255
    path.write_bytes(content)


def crowd(folder):
    for number in range(stored.MAX_FILES + 1):
        (folder / STEP / f"{number}").touch()


FILES = {
    "4 GiB declared": (declare(shape=[1 << 30], chunks=[1 << 30], data=zeros(4 << 30)), " unpacked"),
    "4 GiB of nothing": (declare(shape=[1 << 30], chunks=[1 << 30]), "more than its files can hold"),
    "4 GiB in a block": (declare(data=zeros(4 << 30)), "unpacked"),
    "a large block": (declare(chunks=[3, 3, 3, 1 << 28]), "larger than itself"),
    "another packing": (declare(compressor={"id": "zlib", "level": 1}), "is packed by zlib"),
    "another type": (declare(dtype="<f8"), "is float64 3x3x3x4 in the place of F32 3x3x3x4"),
    "axes turned": (declare(shape=[4, 3, 3, 3], chunks=[4, 3, 3, 3]), "is F32 4x3x3x3 in the place of F32 3x3x3x4"),
    "deep JSON": (
        lambda folder: database(folder).write(f"{WEIGHT}/.zarray", b"[" * 200_000).result(),
        "FAILED_PRECONDITION",
    ),
    "no block": (lambda folder: database(folder).delete_range(b_range(f"{WEIGHT}/0")).result(), "NOT_FOUND: chunk"),
    "no array": (
        lambda folder: database(folder).delete_range(b_range(WEIGHT)).result(),
        "missing params/16x16/Conv0/w",
    ),
    "surplus array": (declare("network.params.x"), "surplus params/x"),
    "strange name": (declare("network.params.\x1b[2J\nerror"), "surplus"),
    "a file cut short": (cut, "16 cannot be read"),
    "no manifest": (lambda folder: (folder / STEP / "state" / "manifest.ocdbt").unlink(), "missing params/"),
    "manifest flipped": (flip_manifest, "16 cannot be read"),
    "a pipe": (lambda folder: os.mkfifo(folder / STEP / "state" / "d" / "x"), "not a regular file"),
    "a loop": (lambda folder: (folder / STEP / "loop").symlink_to(folder / STEP), "16 cannot be read"),
    "a crowd": (crowd, "more than 10000 files"),
    "nothing": (in_place_of(STEP, lambda path: path.mkdir()), "16 cannot be read"),
    "a file": (in_place_of(STEP, lambda path: path.touch()), "16 cannot be read"),
    "all a file": (in_place_of("checkpoints", lambda path: path.touch()), "is not a run folder|has no checkpoint yet"),
    "steps of other letters": (
        lambda folder: [path.rename(path.with_name(name)) for path, name in zip(both(folder), "²٣", strict=True)],
        "has no checkpoint yet",
    ),
}


def both(folder):
    return sorted((folder / "checkpoints").iterdir())


def b_range(prefix):
    return tensorstore.KvStore.KeyRange(prefix, prefix + "\xff")


@pytest.mark.parametrize("name", CONFIG)
def test_a_config_that_was_damaged(folder, name):
    damage, message = CONFIG[name]
    damage(folder)
    assert message in refusal(load, folder)


@pytest.mark.parametrize("name", METADATA)
def test_metadata_that_were_damaged(folder, name):
    damage, message = METADATA[name]
    damage(folder)
    assert message in refusal(load, folder)


@pytest.mark.parametrize("name", FILES)
def test_files_that_were_damaged(folder, name):
    damage, message = FILES[name]
    damage(folder)
    said = refusal(load, folder)
    assert any(part in said for part in message.split("|")), said


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("generator", None, "cannot be made here|is damaged"),
        ("generator", [], "is damaged"),
        ("latents", 5, "about.latents is 5"),
        ("latents", {"size": 1, "distribution": "uniform"}, "for latents of 16 numbers"),
        ("step", None, "is damaged"),
        ("step", {"pixels": "half"}, "about.pixels is 'half'"),
    ],
)
def test_a_gan_whose_config_was_damaged(trained_gan, tmp_path, key, value, message):
    folder = shutil.copytree(trained_gan, tmp_path / "gan")
    assert load(folder).about["source_name"] == "CramerGAN"
    damage_config(lambda config: config.update({key: value}))(folder)
    said = refusal(load, folder)
    assert any(part in said for part in message.split("|")), said
    in_place_of("checkpoints/8/metadata/metadata", lambda path: path.write_text('{"source_name": "../.."}'))(folder)
    assert refusal(load, folder)


def test_folders_that_are_no_steps_are_passed_over(folder):
    for name in ("²", "٣", "017", "99.orbax-checkpoint-tmp", "-1", "1e3"):
        (folder / "checkpoints" / name).mkdir()
    assert stored.saved_steps(folder) == [8, 16]
    assert load(folder).origin["step"] == 16
    checkpoints = Checkpoints(folder, keep=5)
    assert checkpoints.latest_step() == 16
    checkpoints.close()


def test_what_is_not_used_is_not_read(folder):
    """Moments as large as they like, of which nothing is there."""
    declare("network.opt_state.0.mu", shape=[1 << 30], chunks=[1 << 20])(folder)
    before = peak()
    loaded = load(folder)
    assert peak() - before < 512 << 20
    assert (loaded.about["classes"], loaded.origin["step"]) == (CLASSES, 16)
    np.testing.assert_array_equal(
        loaded.variables["params"]["16x16"]["Conv0"]["weight"],
        network(seed=2).variables["params"]["16x16"]["Conv0"]["weight"],
    )


@pytest.mark.parametrize("name", ["4 GiB declared", "4 GiB in a block", "a large block", "a pipe", "no block"])
def test_a_training_goes_on_from_no_such_checkpoint(folder, name):
    tree = {"network": {"params": network().variables["params"], "stats": {}}, "step": np.int32(0)}
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)
    checkpoints = Checkpoints(folder, keep=2)
    assert int(checkpoints.restore(16, like)["step"]) == 16
    FILES[name][0](folder)
    said = refusal(checkpoints.restore, 16, like)
    assert "16 cannot be read" in said and "delete that folder to go on from step 8" in said
    checkpoints.close()


def test_unpacked_size_of_frames():
    assert stored.unpacked_size(zeros(1 << 20), 1 << 30) == 1 << 20
    assert stored.unpacked_size(b"x" * 99 + zeros(1000) + b"y" * 99 + zeros(50), 1 << 30) == 1064
    nested_frame = b"\x28\xb5\x2f\xfd\x20\xff" + struct.pack("<I", len(zeros(1 << 20)) << 3 | 1)[:3] + zeros(1 << 20)
    assert stored.unpacked_size(nested_frame, 1 << 30) >= 1 << 20
    for content in (b"", b"\x28\xb5\x2f\xfd", b"\x28\xb5\x2f\xfd" * 9, zeros(10)[:7], bytes(100)):
        assert stored.unpacked_size(content, 1 << 30) <= 64
