"""The job `import_weights`: a published checkpoint -> a run folder that every other job takes."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganfp_jax.data.names import check_names
from ganfp_jax.interop.formats import recognise
from ganfp_jax.interop.published import PublishedNetwork, load_published
from ganfp_jax.interop.tensor_bundle import find_index
from ganfp_jax.interop.weights import FILE, Weights, write_file
from ganfp_jax.report.table import text_table
from ganfp_jax.run.config_keys import require
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.reading import open_regular

Networks = Mapping[str, PublishedNetwork]

FORMATS = {"pickle": "tfutil pickle", "npz": "Chainer npz", "bundle": "TensorFlow checkpoint", "torch": "PyTorch file"}

AVERAGES = ("Gs", "EGs")  # the running averages, which their authors use
# The classes of the released classifiers, by number. The files lack them; the authors publish them.
CLASSES: dict[int, tuple[str, ...]] = {
    5: ("real", "ProGAN", "SNGAN", "CramerGAN", "MMDGAN"),
    11: ("real", *(f"ProGAN_seed_{seed}" for seed in range(10))),
}
# Generator -> the distribution of its latents, the range of its images, the class of its images.
GENERATORS = {
    "progan_generator": ("normal", "signed", "ProGAN"),
    "sngan_generator": ("normal", "dithered", "SNGAN"),
    "resnet5_generator": ("uniform", "unit", ""),
}
BY_FEATURES = {256: "CramerGAN", 16: "MMDGAN"}  # these two share a generator; their critics differ
AUGMENT = "mirror"  # the augmentation of the published attribution networks
BATCH_SIZE = 32  # the batch by which published generators normalise


def import_weights(
    path: Path,
    networks: Networks,
    *,
    network: str = "",
    classes: Sequence[str] = (),
    source_name: str = "",
    input: str = "image",
) -> Weights:
    """Returns the weights of one network of a published checkpoint, with the settings to use them as published.

    Args:
        path: the checkpoint.
        networks: the networks that `load_published` read there.
        network: the name of one of them; the default is the running average, or the only network that is no critic.
        classes: the names of an attribution network's classes, in the order of its logits; the default is those of the
            released networks of five and eleven classes.
        source_name: the class of a generator's images in labelled folders; the default is its family's name.
        input: what a network of a PyTorch file sees, "image" or "residual" (`models.visnet.Classifier`); no file says.

    Raises:
        UserError: there is no such network, it cannot be used as published, or the config must choose.
    """
    chosen = choose(path, networks, network)
    kind = recognise(path)
    _check_input(input, kind)
    origin = {"format": FORMATS[kind], "network": chosen.name, "sha256": _sha256(path, kind)}
    if chosen.kind == "attribution":
        if source_name:
            raise UserError(f"config.source_name names a generator's images, but {chosen!r} attributes images")
        augment, model = AUGMENT, chosen.model
        if kind == "torch":
            augment, model = "none", {**model, "input": input}
        about: dict[str, Any] = {"classes": _classes(path, chosen, classes), "augment": augment}
        return Weights("attribution", model, chosen.variables, about, origin)
    if classes:
        raise UserError(f"config.classes are an attribution network's, but {chosen!r} makes images")
    about = _generator(path, chosen, source_name or _family(path, networks, chosen))
    return Weights("generator", chosen.model, chosen.variables, about, origin)


def choose(path: Path, networks: Networks, name: str = "") -> PublishedNetwork:
    """Returns the network of that name or, without one, the network that its authors use.

    Raises:
        UserError: there is none, it is a critic, or there are several.
    """
    listing = ", ".join(f"{network.name} ({network.what})" for network in networks.values())
    if name:
        if name not in networks:
            raise UserError(f"{path} has no network {name!r}; config.network can be one of {listing}")
        candidates = [networks[name]]
    else:
        candidates = [networks[average] for average in AVERAGES if average in networks] or list(networks.values())
    useful = [network for network in candidates if network.kind != "critic"]
    if not useful:
        what = "a critic" if name else "critics only"
        raise UserError(
            f"{path}: {what} ({listing}); a critic makes no images and tells no sources apart, import its generator"
        )
    if len(useful) > 1:
        raise UserError(f"{path} holds {listing}; say which with --config.network=NAME")
    return useful[0]


def _check_input(input: str, kind: str) -> None:
    if input not in ("image", "residual"):
        raise UserError(f"config.input is {input!r}; choose from image, residual")
    if input != "image" and kind != "torch":
        raise UserError("config.input is for a PyTorch file; the other formats' networks see the image")


def _classes(path: Path, network: PublishedNetwork, classes: Sequence[str]) -> list[str]:
    count = network.model["num_classes"]
    if network.model.get("latent_res", -1) != -1 and network.model["name"] == "visnet_classifier":
        side = network.model["latent_res"]
        raise UserError(
            f"{path}: {network.name} answers with a map of {side}x{side} logits, and nothing published says how to sum "
            "it up; call it from Python with ganfp_jax.interop.load_published"
        )
    if not classes and count not in CLASSES:
        raise UserError(
            f"{path}: {network.name} has {count} classes, whose names no file says; give them in the order of its "
            "logits with --config.classes=real,..."
        )
    names = list(classes or CLASSES[count])
    if len(names) != count:
        raise UserError(
            f"config.classes are {len(names)} ({', '.join(names)}), but {network.name} of {path} has {count}; name each"
        )
    check_names(names, "config.classes")
    return names


def _family(path: Path, networks: Networks, network: PublishedNetwork) -> str:
    if name := GENERATORS[network.model["name"]][2]:
        return name
    features = [critic.model["num_features"] for critic in networks.values() if "num_features" in critic.model]
    if features and features[0] in BY_FEATURES:
        return BY_FEATURES[features[0]]
    critic = f"its critic has {features[0]} features" if features else "there is no critic"
    raise UserError(
        f"{path} may be of CramerGAN or MMDGAN, whose generators are alike, and {critic}; say which with "
        "--config.source_name=CramerGAN (or MMDGAN)"
    )


def _generator(path: Path, network: PublishedNetwork, source_name: str) -> dict[str, Any]:
    """Returns the settings to draw from a generator."""
    check_names([source_name], "config.source_name")
    model = network.model
    if network.lod:
        raise UserError(
            f"{path}: {network.name} has not grown to its full size (its lod is {network.lod:g}); give a snapshot of "
            "lod 0, or draw from Python: ganfp_jax.interop.load_published"
        )
    if model.get("num_classes", 0) > 1 or model.get("num_channels", 3) != 3:
        raise UserError(
            f"{path}: {network!r} draws images by class or with other than 3 channels, and the jobs do neither; call "
            "it from Python with ganfp_jax.interop.load_published"
        )
    distribution, pixels, _ = GENERATORS[model["name"]]
    return {
        "source_name": source_name,
        "latents": {"size": model["latent_size"], "distribution": distribution},
        "pixels": pixels,
        "batch_size": BATCH_SIZE if model.get("statistics") == "batch" else None,
    }


def _sha256(path: Path, kind: str) -> dict[str, str]:
    """Returns SHA-256 of the file, or of the files of a TensorFlow checkpoint's variables, by name."""
    files = [path]
    if kind == "bundle":
        index = find_index(path)
        data = f"{index.stem}.data-"
        files = [*sorted(each for each in index.parent.iterdir() if each.name.startswith(data)), index]
    digests = {}
    for each in files:
        with open_regular(each) as file:
            digests[each.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `import_weights`: writes `<workdir>/weights.safetensors`.

    Raises:
        UserError: as `import_weights`, or the source cannot be read.
    """
    require(config, "source")
    path = Path(config["source"])
    networks = load_published(path)
    weights = import_weights(
        path,
        networks,
        network=config["network"],
        # The flag --config.classes=a,b gives one text.
        classes=[name.strip() for names in config["classes"] for name in names.split(",")],
        source_name=config["source_name"],
        input=config["input"],
    )
    digest = write_file(workdir / FILE, weights)
    print(summary(networks, weights))
    print(f"weights: {workdir / FILE}  digest: {digest}")


def summary(networks: Networks, weights: Weights) -> str:
    """Describes the networks of the checkpoint, the chosen one and its use."""
    rows = [
        (
            network.name,
            network.what,
            network.takes,
            f"{network.num_params:,}",
            "imported" * (network.name == weights.origin["network"]),
        )
        for network in networks.values()
    ]
    files = [f"{name}  sha256 {digest}" for name, digest in weights.origin["sha256"].items()]
    if weights.kind == "attribution":
        use = f"classes, in the order of the logits: {', '.join(weights.about['classes'])}"
    else:
        latents = weights.about["latents"]
        use = f"images called {weights.about['source_name']}, from {latents['size']} {latents['distribution']} latents"
        use += f", {weights.about['batch_size']} at a time" if weights.about["batch_size"] else ""
    table = text_table(["network", "what it is", "takes", "parameters", ""], rows, align="<<<>")
    return "\n".join([f"{weights.origin['format']}", *files, "", table, "", use])
