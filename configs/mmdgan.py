"""Train MMDGAN: maximum mean discrepancy with a kernel on learnt features (Li et al. 2017, arXiv 1705.08584).

    python -m ganfp_jax.main --config=configs/mmdgan.py            # photos: 32x32 crops of the embedded photographs
    python -m ganfp_jax.main --config=configs/mmdgan.py:celeba --config.data.folder.root=DIR
    python -m ganfp_jax.main --config=configs/mmdgan.py:lsun --config.data.source=tfds

`:photos` takes about a minute on two CPU cores (three critic steps a generator step) and gives textures in the
photographs' colours, not photographs. `:tiny` takes seconds and gives noise.

`:celeba` and `:lsun` are the published training of the fingerprint study at 128x128, with the code and the settings of
Binkowski et al. (ICLR 2018, arXiv 1801.01401): networks, steps and optimiser as in configs/cramergan.py, but 16
features, the kernel mix_rq_1dot (three rational quadratics plus the inner product), gradient penalty 1 and L2 penalty 1
on the critic's layers. The intervals of logs, measures, samples and checkpoints are ours.

Three of their habits are keys, whose published values are the defaults of `:celeba` and `:lsun`, the others of
`:photos`: `objective.penalty.norm` and `generator.statistics`, as in configs/cramergan.py, and
`objective.args.diagonal`. "published": the constant 3 is taken out of the kernel's diagonal; "exact": the diagonal.

The keys against dots of 2 pixels are those of configs/cramergan.py.

The narrow critic of `:photos` also begins otherwise (`critic.first_weights`): with the published weights its features
are so near 0 that the penalty on its layers can take them there, where every gradient is 0 for ever.
"""

from ml_collections import ConfigDict

from configs import common, cramergan


def get_config(variant: str = "photos") -> ConfigDict:
    """The config of one of the variants photos, celeba, lsun, celeba-smoke, tiny."""
    return common.choose_gan(variant, _published, photos=_photos, smoke=cramergan.smoke, tiny=cramergan.tiny)


def _published() -> ConfigDict:
    objective = {
        "name": "mmd",
        "args": {"kernel": "mix_rq_1dot", "estimate": "unbiased", "diagonal": "published"},
        "penalty": {"weight": 1.0, "target": 1.0, "norm": "height", "epsilon": 1e-5, "layers": 1.0},
    }
    critic = {"num_features": 16, "first_weights": "published"}
    return cramergan.published("MMDGAN", critic=critic, objective=objective)


def _photos(config: ConfigDict) -> None:
    cramergan.on_photographs(config)
    config.critic.first_weights = "scaled"
    config.objective.args.diagonal = "exact"
    config.num_steps = 400
