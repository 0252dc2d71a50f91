"""Export a trained network to use it elsewhere: run folder -> one file, or a folder to share.

    python -m ganfp_jax.main --config=configs/export_weights.py --config.checkpoint=runs/attribution
    python -m ganfp_jax.main --config=configs/export_weights.py:onnx --config.checkpoint=runs/attribution
    python -m ganfp_jax.main --config=configs/export_weights.py:stablehlo --config.checkpoint=runs/attribution
    python -m ganfp_jax.main --config=configs/export_weights.py:folder --config.checkpoint=runs/attribution

The default writes `weights.safetensors` (or `--config.file`): the weights of the newest checkpoint, of the running
average where one was kept, and the settings to use them (network, classes and so on, see
`ganfp_jax/interop/weights.py`). The file is read back and compared, and the same weights give the same bytes. It is
accepted wherever a run folder is: as `config.checkpoint` or, for a generator, as `config.generator`. It takes two
seconds.

`:onnx` (`format=onnx`) writes an attribution network with its vote (`views`, `rule`) and its calibration as one graph,
`vote.onnx`: uint8 images in, any number of them, the verdict out. It runs wherever onnxruntime does, without Python too
(docs/elsewhere.md). All arithmetic is float32. onnxruntime's logits are compared with ours before the file is written.
It needs `pip install 'ganfp_jax[onnx]'` and takes about 6 s.

`:stablehlo` (`format=stablehlo`) writes the same vote as a program of JAX, `vote.stablehlo`, which runs without
ganfp_jax wherever Python has jax, numpy and flatbuffers. `vote.json` beside it has the names of the classes and five
lines of Python that run it. The program takes any number of images (or `batch_size`, if not 0) on all of `platforms`.
It contains the weights: 5.4 MB for the study's network, 36 MB for the published one. jax promises to read such a
program for six months only; the safetensors file is for keeping. It takes about 6 s.

`:folder` writes an attribution network as a folder to share, `model/` in the run folder (or `--config.file`, whose name
is the network's): `model.safetensors`, which is the file of the default, `config.json` and `README.md`, a model card
with the metadata that the Hugging Face hub reads. `license` is that of the weights, such as apache-2.0. `evaluation` is
a run folder of configs/evaluate.py for this network, whose accuracy the card then states. `Attributor.from_pretrained`
loads the folder, and everything that asks for a run folder.

No `views` are those of the network's training; a calibration holds for the vote that it was found for. The default is
the D4-trained network of `configs/quickstart.py:scratch`; `:tiny` exports that of `configs/quickstart.py:tiny`.
"""

import functools

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, folder, onnx, stablehlo, tiny."""
    formats = {name: functools.partial(_as, name) for name in ("folder", "onnx", "stablehlo")}
    return choose(variant, {"default": _default, **formats, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "export_weights",
            "checkpoint": "runs/quickstart-scratch/visnet-d4",
            "format": "safetensors",
            "file": "",
            "views": "",
            "rule": "majority",
            "batch_size": 0,
            "platforms": ("cpu", "cuda", "tpu"),
            "license": "unknown",
            "evaluation": "",
        }
    )


def _as(name: str) -> ConfigDict:
    config = _default()
    config.format = name
    return config


def _tiny() -> ConfigDict:
    config = _default()
    config.checkpoint = "runs/quickstart-tiny/visnet-d4"
    return config
