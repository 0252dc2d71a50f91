"""Generate images: a trained generator (or the embedded photographs) -> one source of a labelled image folder.

    python -m ganfp_jax.main --config=configs/generate.py --config.generator=runs/progan --config.seed=1
    python -m ganfp_jax.main --config=configs/generate.py:real --config.count=1000      # crops of the photographs
    python -m ganfp_jax.main --config=configs/generate.py:celeba --config.folder.root=DIR --config.count=1000

`generator` is a training's run folder, or a file (or folder) of `configs/export_weights.py`. Image i of a seed is
always the same image, and ProGAN's latents are those of NumPy's RandomState(seed).

Files are named as published (`ProGAN_%08d.png`); `manifest.json` beside them has the weights, seed and count. Give
several runs the same `--config.root` (and each its own --workdir) to build a labelled set. Memory does not grow with
the count. About 1,000 images/s at 32x32 are written on two CPU cores.

Generators from elsewhere work on photographs (docs/restorers.md; extra `restorers`):

    python -m ganfp_jax.main --config=configs/generate.py --config.generator=ncnn:srmdnf-x2 --config.photographs=DIR

`ncnn:NAME` is a published network of an installed package, `onnx:FILE` one of your own, `pillow:NAME` a classical
filter, and `pillow:real` the photograph itself. `photographs` is a folder of any depth, or `embedded` for nine
photographs of installed packages, which `:restorers` takes. `count` is the number of images; of photographs the most in
all, and 0 for no limit. `source_name` is the name of the source, by default the generator's; "SOURCE/SETTING" makes it
one of several settings of a source. In the section `restore`:

- `reduction`: the factor by which `real` is reduced; a network's input is reduced by its scale as well.
- `crop`: the side of the images; 0 for whole pictures. `crops`: the most crops of a photograph.
- `cluster`: crops lie side by side, `cluster` x `cluster` together, which saves a network work.
- `min_luma_std`: the least standard deviation of the luma of a crop of `real`; all sources leave out flatter ones.
- `tile`: the side of the input that the network sees at once; 0 for the whole picture, -1 for its program's own.
- `input_jpeg`: the JPEG quality of what the generator is given; 0 for none.

`network.threads` are the CPU threads of a network, `network.white` the value of white (1 or 255) in an ONNX file's.

`encoding="published"` writes the values as the released image sets have them. It is not the default, since it stretches
the images of CramerGAN and MMDGAN to span 0 to 255, which gives them away.

`:celeba` and `:lsun` write photographs of a folder as the published study cut them, as 128x128 images of the source
`real`. They skip `folder.first` photographs, and write the usable ones of the next `count` in the order of their names.
Two commands with disjoint ranges make a network's training and test images; docs/celeba.md has the whole way.
`:celeba-smoke` does so with the few photographs of `python -m experiments.celeba`. `:tiny` writes a few crops in
seconds.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, real, restorers, celeba, lsun, celeba-smoke, tiny."""
    variants = {"default": _default, "real": _real, "restorers": _restorers, "celeba": _celeba, "lsun": _lsun}
    return choose(variant, variants | {"celeba-smoke": _celeba_smoke, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "generate",
            "generator": "runs/progan",
            "count": 1000,
            "seed": 0,
            "root": "",
            "encoding": "plain",
            "batch_size": 64,
            "resolution": 32,
            "photographs": "",
            "source_name": "",
            "restore": {
                "reduction": 2.0,
                "crop": 128,
                "crops": 16,
                "cluster": 1,
                "min_luma_std": 10.0,
                "tile": -1,
                "input_jpeg": 0,
            },
            "network": {"threads": 1, "white": 1},
            "folder": {"root": "", "first": 0, "resize": "crop"},
            "photos": {"split": "test", "fold": 0, "reduction": 2.0, "min_luma_std": 10.0},
        }
    )


def _real() -> ConfigDict:
    config = _default()
    config.generator = "photos"
    return config


def _restorers() -> ConfigDict:
    config = _default()
    config.generator = "ncnn:realesrgan-x4plus"
    config.photographs = "embedded"
    config.count = 0
    return config


def _celeba() -> ConfigDict:
    return _of_folder("celeba")


def _lsun() -> ConfigDict:
    return _of_folder("lsun")


def _of_folder(resize: str) -> ConfigDict:
    config = _default()
    config.generator = "folder"
    config.resolution = 128
    config.folder.resize = resize
    return config


def _celeba_smoke() -> ConfigDict:
    config = _celeba()
    config.folder.root = "runs/celeba-smoke/img_align_celeba"
    config.count = 24
    return config


def _tiny() -> ConfigDict:
    config = _real()
    config.count = 8
    config.resolution = 16
    return config
