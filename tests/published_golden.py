"""The golden networks as files of the published formats; as a command, writes what `import_weights.py:tiny` reads.

    python tests/published_golden.py

What is recorded beside each network (`meta/...`) are the arguments that its published code was called with.
"""

from pathlib import Path
from typing import Any

import numpy as np
from golden_files import load
from published_files import write_bundle, write_npz, write_pickle

from ganfp_jax.interop.pickles import StoredNetwork

TINY = Path(__file__).parent / "golden" / "published_progan.pkl"

CLASSIFIERS = ("postpool_4", "postpool_16", "predownscale_16", "patch_latent8")


def stored(name: str, function: str, golden: str, **variables: Any) -> StoredNetwork:
    """A golden network as a pickle has it, some of its variables replaced."""
    recorded = load(golden)
    return StoredNetwork(name, function, dict(recorded.meta), recorded.param | variables)


def write_progan(path: Path, lod: float = 0.0, **gs_variables: Any) -> Path:
    """(G, D, Gs), each grown to `lod`; Gs has G's variables unless others are given."""
    generator = [stored(name, "G_paper", "progan_generator", lod=np.array(lod, np.float32)) for name in ("G", "Gs")]
    generator[1].variables.update(gs_variables)
    critic = stored("D", "D_paper", "progan_discriminator", lod=np.array(lod, np.float32))
    write_pickle(path, [generator[0], critic, generator[1]], as_tuple=True)
    return path


def write_classifier(path: Path, which: str = "postpool_4") -> Path:
    write_pickle(path, [stored("C_im", "C_patch", f"classifier_{which}")], as_tuple=False)
    return path


def write_fingerprint_network(path: Path) -> Path:
    """(EG, D_rec, EGs), of which EG and EGs are one."""
    network, average = (stored(name, "EG", "visnet_autoencoder") for name in ("EG", "EGs"))
    critic = stored("D_rec", "D_patch", "visnet_discriminator")
    write_pickle(path, [network, critic, average], as_tuple=True)
    return path


def write_sngan(path: Path, *parts: str, classes: int = 1) -> Path:
    """ "generator", "discriminator", or both as a snapshot of the whole trainer has them."""
    arrays = {part: load(f"sngan_{part}_classes{classes}").param for part in parts}
    if len(parts) == 1:
        write_npz(path, arrays[parts[0]])
        return path
    snapshot: dict[str, Any] = {"updater/iteration": np.int64(3), "_snapshot_elapsed_time": np.float64(1.5)}
    for part, key in (("generator", "opt_gen"), ("discriminator", "opt_dis")):
        for name, array in arrays[part].items():
            snapshot[f"updater/model:{key}/{name}"] = array
            if name.endswith("/W"):
                snapshot[f"updater/optimizer:{key}/{name}/m"] = np.zeros_like(array)
    write_npz(path, snapshot)
    return path


def write_cramer_or_mmd(prefix: Path, num_features: int = 16) -> Path:
    """Generator and critic in one checkpoint, with what training keeps beside them; 256 features are Cramer's."""
    critic = load("dcgan5_critic").param
    if num_features != 16:
        rng = np.random.RandomState(0)
        rows = len(critic["discriminator/d_h6_lin/Matrix"])
        critic["discriminator/d_h6_lin/Matrix"] = rng.standard_normal((rows, num_features)).astype(np.float32)
        critic["discriminator/d_h6_lin/bias"] = np.zeros(num_features, np.float32)
    rest = {"global_step": np.int32(1000), "lr": np.float32(1e-4), "loss/gradient_penalty": np.float32(10)}
    prefix.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(prefix, load("g_resnet5_generator").param | critic | rest)
    return prefix


if __name__ == "__main__":
    print(f"{write_progan(TINY)}: {TINY.stat().st_size:,} bytes")
