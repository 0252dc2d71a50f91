"""Group unknown images: which of them come from one generator that the network has never seen, and of how many.

    python -m ganfp_jax.main --config=configs/group.py -- images/ more/
    python -m ganfp_jax.main --config=configs/group.py --config.of=all --config.data.root=VALIDATION -- images/

The network `checkpoint` is asked about `images`, which are named as for `configs/attribute.py`: files, folders,
patterns, lists, tables, archives. Those with the verdict `of` are grouped: "unknown", as its calibration has it, or
"all", or several verdicts between commas, such as "unknown,unsure". At most `most` images are looked at, evenly spread,
since the time grows with their square.

Images are compared as for `configs/compare.py`, by the network's fingerprint and the spectrum of their blocks, in axes
that images of the known sources have taught. `data.root` holds labelled images of these, best such that the network has
not seen; at most `images_per_source` of each are taken. Groups are joined one after the other, the most alike first, as
long as no two images of one are more unlike than `threshold`: 1 less the cosine of the angle between them, 0 to 2
(`ganfp_jax/attribution/clusters.py`). Lower makes more and smaller groups. Its value, and the method, were chosen on
the development images of experiments/grouping. A group has `smallest` images or more, by default as many as a source is
enrolled from; what stays in smaller ones belongs to no group and is listed as alone.

Refused in one line: a network whose calibration has no "unknown", unless `of` asks for other verdicts; fewer images of
these verdicts than a group has; images that are all alike. Flat images and copies are left out. `tiles`, `resize` and
`min_luma_std` are as in `configs/attribute.py`.

Writes `groups.csv` (image, verdict, group, distance: how unlike the group's mean it is, silhouette: how much nearer the
group is than the next one, 1 to -1), `groups.json` (of each group its size and its most central image), `group-1.txt`
and so on (the files of each, a path a line), `report/index.html` with a sheet of each, and, of files that cannot be
used, `rejected.csv`. The command that enrols a group under a name is printed for each. What to expect:
experiments/grouping.

By default the known images are those of `configs/quickstart.py`; `:tiny` groups images of `configs/quickstart.py:tiny`.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": _default, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "group",
            "checkpoint": "photos32",
            "images": "",
            "of": "unknown",
            # layout "auto" stops at source folders that hold real/ and fake/, or train/ and val/; "sources" takes all.
            "data": {"root": "runs/quickstart/images", "layout": "auto"},
            "most": 2000,
            "images_per_source": 300,
            "threshold": 0.95,
            "smallest": 5,
            "resize": "crop",
            "tiles": 4,
            "min_luma_std": 10.0,
        }
    )


def _tiny() -> ConfigDict:
    config = _default()
    config.checkpoint = "runs/quickstart-tiny/visnet-d4"
    config.data.root = "runs/quickstart-tiny/images"
    config.images = "runs/quickstart-tiny/images/train"
    config.of = "all"  # a network that has hardly learned anything has no calibration
    config.most = 40
    return config
