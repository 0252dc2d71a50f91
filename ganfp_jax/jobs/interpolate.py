"""The job `interpolate`: a trained generator -> an animation of a walk through its latents."""

from pathlib import Path
from typing import Any

from ganfp_jax.data.decode import decode_image
from ganfp_jax.generation.animation import SUFFIXES, check_animation, write_animation
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.generation.walk import STRIP, claim, draw_anchors, frame_path, list_anchors, write_frames, write_strip
from ganfp_jax.models import latents
from ganfp_jax.run.errors import UserError


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `interpolate`: `frame_%05d.png`, `walk.png` (or .gif), `strip.png` and `walk.json` in one folder.

    The strip is made from the frames' files; `write_animation` states the memory that the animation takes.

    Raises:
        UserError: the settings are bad, there is no generator, or the folder holds other files.
    """
    _check(config)
    anchors = list_anchors(seeds=config["seeds"], seed=config["seed"], count=config["count"])
    leg = config["frames"] + 1  # frames from one anchor to the next, the first of them counted
    num_legs = len(anchors) if config["loop"] else len(anchors) - 1
    num_frames = num_legs * leg + (0 if config["loop"] else 1)  # a loop ends just before its first frame
    sampler = Sampler(Path(config["generator"]))
    scale = config["scale"] or max(1, 256 // sampler.resolution)
    root = Path(config["root"] or workdir / "walk")
    record = sampler.origin | {
        "source": sampler.source_name,
        "resolution": sampler.resolution,
        "anchors": [{"frame": i * leg, "seed": seed, "image": image} for i, (seed, image) in enumerate(anchors)],
        "num_frames": num_frames,
        "scale": scale,
        **{key: config[key] for key in ("mode", "frames", "loop", "fps", "format", "batch_size")},
    }
    claim(root, record)
    corners = draw_anchors(anchors, sampler.latents)
    write_frames(
        sampler,
        root,
        corners,
        mode=config["mode"],
        leg=leg,
        num_frames=num_frames,
        batch_size=config["batch_size"],
    )
    write_strip(root, num_legs=num_legs, leg=leg, num_frames=num_frames)
    frames = (decode_image(frame_path(root, index)) for index in range(num_frames))
    enlarged = (frame.repeat(scale, axis=0).repeat(scale, axis=1) for frame in frames)
    animation = root / f"walk{SUFFIXES[config['format']]}"
    write_animation(animation, enlarged, kind=config["format"], count=num_frames, fps=config["fps"])
    print(f"{num_frames} frames in {root}; open {animation} in a browser, or {root / STRIP}")


def _check(config: dict[str, Any]) -> None:
    """Raises UserError for bad settings before the generator is loaded."""
    check_animation(kind=config["format"], fps=config["fps"])
    if config["mode"] not in latents.MODES:
        raise UserError(f"unknown config.mode {config['mode']!r}; choose from {', '.join(latents.MODES)}")
    for key, least in (("frames", 0), ("scale", 0), ("batch_size", 1)):
        if config[key] < least:
            raise UserError(f"config.{key} is {config[key]}; give {least} or more")
    for seed in (config["seed"], *config["seeds"]):
        if not (isinstance(seed, int) and 0 <= seed < 2**32):  # RandomState takes no other
            raise UserError(f"{seed!r} in config.seed or config.seeds is no whole number from 0 to {2**32 - 1}")
