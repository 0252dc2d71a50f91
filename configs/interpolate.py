"""Walk through a generator's latents: frames from anchor image to anchor image, one animation, one still picture.

    python -m ganfp_jax.main --config=configs/interpolate.py --config.generator=runs/progan
    python -m ganfp_jax.main --config=configs/interpolate.py --config.generator=runs/sngan --config.seeds=3,14,15

Writes `frame_%05d.png` (the generator's own size), `walk.png` (an animated PNG that every browser plays, lossless,
enlarged by repeating pixels), `strip.png` (the same walk as one still: a row for each pair of anchors) and `walk.json`
(the weights, seeds and frames) to `<workdir>/walk` or `config.root`. The anchors are image 0 of each of `config.seeds`
or, without any, the first `config.count` images of `config.seed`, as `generate.py` makes them.

The default, 180 frames, takes four seconds at 32x32 on two CPU cores. Neighbouring frames should differ little: a jump
shows a generator that learned single images. `:tiny` takes three seconds, with the SNGAN of
`configs/quickstart.py:tiny`.

- `mode`: "spherical" (it keeps the length of latents) or "linear".
- `frames`: the number between two anchors.
- `fps`: frames a second.
- `loop`: the walk returns to its first anchor.
- `scale`: 0 enlarges to about 256 pixels.
- `format`: apng, or gif (256 colours) for programs that show an APNG as a still.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": _default, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "interpolate",
            "generator": "runs/progan",
            "seeds": (),
            "seed": 0,
            "count": 6,
            "mode": "spherical",
            "frames": 29,
            "loop": True,
            "fps": 20,
            "scale": 0,
            "format": "apng",
            "batch_size": 64,
            "root": "",
        }
    )


def _tiny() -> ConfigDict:
    config = _default()
    config.generator = "runs/quickstart-tiny/sngan"
    config.seeds = (0, 1, 2)
    config.frames = 7
    config.fps = 8
    return config
