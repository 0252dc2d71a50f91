"""Export a trained network to use it elsewhere: run folder -> one file.

    python -m ganfp_jax.main --config=configs/export_weights.py --config.checkpoint=runs/attribution
    python -m ganfp_jax.main --config=configs/export_weights.py:stablehlo --config.checkpoint=runs/attribution

The default writes `weights.safetensors` (or `--config.file`): the weights of the newest checkpoint, of the running
average where one was kept, and the settings to use them (network, classes and so on, see
`ganfp_jax/interop/weights.py`). The file is read back and compared, and the same weights give the same bytes. It is
accepted wherever a run folder is: as `config.checkpoint` or, for a generator, as `config.generator`. It takes two
seconds.

`:stablehlo` (`format=stablehlo`) writes an attribution network with its vote (`views`, `rule`) as one program,
`vote.stablehlo`, which runs without ganfp_jax wherever Python has jax, numpy and flatbuffers. `vote.json` beside it has
the names of the classes and five lines of Python that run it. The program takes any number of images (or `batch_size`,
if not 0) on all of `platforms`. It contains the weights: 5.4 MB for the study's network, 36 MB for the published one.
jax promises to read such a program for six months only; the safetensors file is for keeping. It takes about 6 s.

The default is the D4-trained network of `configs/quickstart.py:scratch`; `:tiny` exports that of
`configs/quickstart.py:tiny`.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, stablehlo, tiny."""
    return choose(variant, {"default": _default, "stablehlo": _stablehlo, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "export_weights",
            "checkpoint": "runs/quickstart-scratch/visnet-d4",
            "format": "safetensors",
            "file": "",
            "views": "d4",
            "rule": "majority",
            "batch_size": 0,
            "platforms": ("cpu", "cuda", "tpu"),
        }
    )


def _stablehlo() -> ConfigDict:
    config = _default()
    config.format = "stablehlo"
    return config


def _tiny() -> ConfigDict:
    config = _default()
    config.checkpoint = "runs/quickstart-tiny/visnet-d4"
    return config
