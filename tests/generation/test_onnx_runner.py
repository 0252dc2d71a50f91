"""Networks of ONNX files: layout, type, scale and sizes are found out; what cannot be used is one line."""

import numpy as np
import pytest

from ganfp_jax.data import sources
from ganfp_jax.data.decode import decode_image
from ganfp_jax.generation.restorers import find, tiles
from ganfp_jax.generation.restorers.photographs import reduced
from ganfp_jax.generation.restorers.tiles import Window
from ganfp_jax.run.errors import UserError


@pytest.fixture(scope="module")
def photograph():
    return decode_image(sources.photo_path("astronaut"))[24:312, 100:388]


def network_file(path, *, last=False, scale=2, dtype="FLOAT", side=None, channels=3, multiple=1):
    """An ONNX file of a network that repeats each pixel, after a loss-free round trip through `multiple` x smaller."""
    onnx = pytest.importorskip("onnx")
    kind = getattr(onnx.TensorProto, dtype)
    shape = [1, side, side, channels] if last else [1, channels, side, side]
    sides = (1, 2) if last else (2, 3)
    large = [length and scale * length if axis in sides else length for axis, length in enumerate(shape)]
    node, helper = onnx.helper.make_node, onnx.helper
    factors = np.array([scale if axis in sides else 1 for axis in range(4)], np.float32)
    constants = [onnx.numpy_helper.from_array(factors, "factors")]
    nodes, name = [], "picture"
    if multiple > 1:
        nodes += [node("SpaceToDepth", [name], ["deep"], blocksize=multiple)]
        nodes += [node("DepthToSpace", ["deep"], ["back"], blocksize=multiple)]
        name = "back"
    nodes += [
        node("Resize", [name, "", "factors"], ["large"], mode="nearest", coordinate_transformation_mode="asymmetric")
    ]
    nodes[-1].attribute.append(helper.make_attribute("nearest_mode", "floor"))
    put, out = (helper.make_tensor_value_info(*of) for of in (("picture", kind, shape), ("large", kind, large)))
    graph = helper.make_graph(nodes, "enlarger", [put], [out], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9), path)
    return path


@pytest.mark.parametrize(
    ("facts", "white"),
    [
        ({}, 1),
        ({"last": True, "scale": 3}, 255),
        ({"dtype": "UINT8", "scale": 4}, 1),
        ({"dtype": "FLOAT16", "scale": 1}, 1),
        ({"side": 64}, 1),
        ({"multiple": 4}, 1),
    ],
)
def test_a_network_of_an_onnx_file_is_understood_from_its_shapes_and_one_run(facts, white, photograph, tmp_path):
    pytest.importorskip("onnxruntime")
    path = network_file(tmp_path / "mine.onnx", **facts)
    restorer = find.load(f"onnx:{path}", white=white, threads=1)
    scale = facts.get("scale", 2)
    multiple = 32 if restorer.fixed else facts.get("multiple", 1)
    assert (restorer.name, restorer.scale, restorer.multiple) == ("mine", scale, multiple)
    picture = reduced(photograph, 2, scale)
    (image,) = tiles.restore(restorer, picture, [Window(5, 7, 80, 61)], 32 if restorer.fixed else 30)
    np.testing.assert_array_equal(image, picture.repeat(scale, 0).repeat(scale, 1)[5:85, 7:68])
    assert restorer.origin["file"] == "mine.onnx" and len(restorer.origin["sha256"]) == 64


def test_an_onnx_file_that_is_damaged_or_no_such_network_is_one_line(tmp_path):
    pytest.importorskip("onnxruntime")

    def fails(path, message, white=1):
        with pytest.raises(UserError, match=message) as error:
            find.load(f"onnx:{path}", white=white, threads=1)
        assert "\n" not in str(error.value)

    path = network_file(tmp_path / "a.onnx")
    fails(path, "config.network.white is 2; give 1 or 255", white=2)
    path.write_bytes(path.read_bytes()[:-40])
    fails(path, "a.onnx is damaged, or no ONNX file that onnxruntime can run")
    fails(tmp_path / "none.onnx", "none.onnx is no file")
    fails(network_file(tmp_path / "b.onnx", channels=4), "do not say which axis is colour")
    fails(
        network_file(tmp_path / "c.onnx", scale=5),
        "is no network from RGB pictures .* it makes 480x480 with 3 channels",
    )
    fails(network_file(tmp_path / "d.onnx", dtype="INT32"), r"its input is a tensor\(int32\) of 4 axes")
    fails(network_file(tmp_path / "e.onnx", side=32), "its input is 32x32, not square or not over 32")
