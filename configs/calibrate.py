"""Calibrate an attribution network: find the margin above which its verdicts can be relied on, and what is unknown.

    python -m ganfp_jax.main --config=configs/calibrate.py --config.checkpoint=runs/attribution --config.data.root=DIR

`data.root` holds labelled images that the network was not trained on, as for `configs/evaluate.py`. The result holds
for images like these, from the same sources in the same shares. The margin is the probability of the source that the
vote chose (`views`, by default those of the network's training, and `rule`), minus that of the next source.

The job chooses the smallest margin above which, with 95 % confidence, at most the share `error_rate` of the verdicts is
wrong. It goes down from the surest image as long as the upper Clopper-Pearson bound for the mistakes so far is not
above that share (`ganfp_jax/attribution/certainty.py` says why this is no luck of the best of many). It begins with the
share `min_decided` of the images, the surest ones, which is the least share that is decided. To show 1 % takes 299
images without a mistake. Where even the surest are wrong too often, the job says so, writes nothing and ends with
status 2. Images are assumed to be independent; crops of one photograph are not.

`spared` names a source of whose images none may be decided wrongly, such as "real". A verdict that names another source
then needs a margin above that of every such mistake. One that names this source, which accuses nobody, has a margin of
its own; the error rate holds for both kinds of verdicts at once. With N images of the source that are independent, at
most 1 - 0.05 ** (1 / N) of the next ones are accused (with 95 % confidence): 99 show 3 %, 299 show 1 %.

Of pictures larger than the network, up to `tiles` tiles are looked at (`configs/attribute.py`). Where 20 or more have
several, the job also learns how much the tiles of one picture depend on each other, d: T tiles then count as
T / (1 + (T - 1) d). It takes the highest d whose likelihood is within the 95 % interval of the best one, so that few
pictures make no one too sure; without a calibration d is 0.1. Pictures that are flat everywhere are left out.

The job also learns how strange images of each source are for it, and from that p-values by source (split conformal,
`ganfp_jax/attribution/typicality.py`): the score is the probability that the image is of other sources plus the
distance of its fingerprint, or, of a network trained with pseudo-unknowns, that it is of other sources or of none. A
p-value is the share of photographs with images at least as strange, the image itself counted. An image is "unknown"
where no source has a p-value above `unknown_rate`, and "unsure" where another source than the voted one has. So each
source is denied at most that share of its images of new photographs, in the mean over calibrations. Photographs count,
not images: all of one that `manifest.json` lists for the source count as one together, any other image as one of its
own. With n photographs no rate below 1 / (n + 1) can be shown: 5 % takes 19, 1 % takes 99. Where a source has fewer,
the job says so, and no verdict is "unknown". It prints, by source and fewest photographs first, what is promised and
what is not: how many images of other sources are "unknown" is not. `unknown_rate=0` learns no p-values. The margin is
chosen among the images that are like the voted source alone, each as if its own photograph were not among those that it
is compared with; `min_decided` is a share of these.

The result, `calibration.json`, is written into the checkpoint's run folder. `configs/attribute.py` finds it there and
answers by it, and `configs/export_weights.py` includes it; it holds for these weights, these views and this rule only.
A `checkpoint` that is a file is not changed: a calibrated copy, `weights.safetensors`, is written into the job's run
folder. The share of wrong decisions on the images of the calibration is no estimate for a test set: measure it on other
images.

What is promised holds for images like those of the calibration. `perturb` shows these as others will be sent:
"none|jpeg50-95" leaves half of them as they are and saves the others as JPEG, each in one form only, so that they stay
independent. A `perturb` that rescales goes well with `tiles=0`.

By default, the D4-trained network of `configs/quickstart.py:scratch` is calibrated on its 2,000 test images, in 10 s.
One such network decided 63 % of them, 0.5 % of those wrongly (without a threshold 5.4 % are wrong). `:tiny` calibrates
the hardly trained network of `configs/quickstart.py:tiny` to decide all and be wrong in less than 95 %.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    variants = {
        "default": lambda: _of("runs/quickstart-scratch", 0.01, 0.0),
        "tiny": lambda: _of("runs/quickstart-tiny", 0.95, 1.0),
    }
    return choose(variant, variants)


def _of(quickstart: str, error_rate: float, min_decided: float) -> ConfigDict:
    return ConfigDict(
        {
            "job": "calibrate",
            "checkpoint": f"{quickstart}/visnet-d4",
            # layout "auto" stops where there are two readings; "sources" or one of docs/layouts.md says how.
            "data": {"root": f"{quickstart}/images", "resize": "crop", "layout": "auto"},
            "perturb": "none",
            "tiles": 64,
            "min_luma_std": 10.0,
            "views": "",
            "rule": "majority",
            "error_rate": error_rate,
            "min_decided": min_decided,
            "spared": "",
            "unknown_rate": 0.05,
            "batch_size": 32,
        }
    )
