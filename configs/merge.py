"""Merge shards: the run folders of `configs/attribute.py` with shards -> the files of one run over all images.

    ganfp attribute DIR --workdir=runs/archive/0 --shard=0/2
    ganfp attribute DIR --workdir=runs/archive/1 --shard=1/2
    python -m ganfp_jax.main --config=configs/merge.py --config.parts=runs/archive

`parts` is the folder that has the run folders of all shards in it. They stay as they are.

The run folder gets `predictions.csv`, `predictions.jsonl`, `rejected.csv` and `notes.csv`, byte for byte as
`configs/attribute.py` writes them of all images in one process (on processors of one kind: others may round the last
digit differently; so may a run over no more than four tiles in all). Shards or parts that are missing are named, and
nothing is written; so are shards of another network, other views or another list of images. Memory does not grow with
the number of images. A million images take half a minute of one core. The exit status is that of
`configs/attribute.py`: 0, or 3 where some files could not be used.

`:tiny` merges the shards in runs/attribute-tiny-shards.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": _default, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict({"job": "merge", "parts": ""})


def _tiny() -> ConfigDict:
    config = _default()
    config.parts = "runs/attribute-tiny-shards"
    return config
