"""What files say without their pixels: a control that must stay at chance, and the sizes of files.

If a classifier knows the sources from formats, dimensions or text that a program left in the file, the images were
written in different ways, and every accuracy on them is in doubt. Where all files were written alike it can but guess.
"""

import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
from jaxtyping import Float

from ganfp_jax.baselines import method
from ganfp_jax.data.decode import ImageFile, open_file, open_header
from ganfp_jax.data.decoding import segments

LEAVES = 32
RARE = 0.01  # share of the training images below which nothing is learnt: it would be learnt of single files
LONG = 40  # letters from which on a text is only long, and its content does not count


def fit(training: method.Training) -> method.Model:
    """A decision tree on `tokens`: which of the things that some training files say a file says.

    Where files tell nothing it names one source for all, which is right as often as that source comes.
    """
    learnt = [tokens(path) for path in training.samples]
    counts = Counter(itertools.chain.from_iterable(learnt))
    known = sorted(token for token, count in counts.items() if count >= RARE * len(learnt))

    def features(said: Sequence[frozenset[str]]) -> Float[np.ndarray, "n f"]:
        return np.array([[token in own for token in known] for own in said], float).reshape(len(said), len(known))

    tree = _tree(features(learnt), training)
    return method.Model(lambda paths: tree.predict_proba(features([tokens(path) for path in paths])))


def fit_file_size(training: method.Training) -> method.Model:
    """A decision tree on the number of bytes. Of compressed images it depends on the pixels, so this is no control."""

    def sizes(files: Sequence[ImageFile]) -> Float[np.ndarray, "n 1"]:
        return np.array([num_bytes(file) for file in files], float).reshape(-1, 1)

    tree = _tree(sizes(training.samples), training)
    return method.Model(lambda paths: tree.predict_proba(sizes(paths)))


def tokens(file: ImageFile) -> frozenset[str]:
    """What a file says of itself, as words such as "format=PNG", "size=32x32", "chunk=tEXt", "text Software=GIMP".

    Suffix, format, width and height, mode, frames, every segment, chunk, box, block and tag whatever it is called, and
    their order (`decoding.segments`), sampling and quantisation tables (JPEG), EXIF tags, the digest of the colour
    profile and whatever Pillow finds beside the pixels, short values included. Neither the name, nor the number of
    bytes, nor the times of the file. A file that cannot be opened says "unreadable".
    """
    said = {f"suffix={PurePath(file.name).suffix.lower()}"}
    try:
        with open_header(file) as image:
            said |= {f"format={image.format}", f"size={image.width}x{image.height}", f"mode={image.mode}"}
            said |= {f"frames={getattr(image, 'n_frames', 1)}", f"sampling={getattr(image, 'layer', '')}"}
            for key, value in {**image.info, **getattr(image, "text", {})}.items():
                said |= {f"text {key}", f"text {key}={value}" if len(str(value)) < LONG else f"text {key} is long"}
            said |= {f"exif {tag}={str(value)[:LONG]}" for tag, value in image.getexif().items()}
            said |= {f"table {n}={table}" for n, table in getattr(image, "quantization", {}).items()}
            if profile := image.info.get("icc_profile"):
                said.add(f"profile={hashlib.sha256(profile).hexdigest()[:8]}")
        with open_file(file) as content:
            said |= segments.words_of(content.read(segments.MOST_BYTES))
    except Exception:  # decoders raise whatever a damaged file makes them raise
        said.add("unreadable")
    return frozenset(said)


def num_bytes(file: ImageFile) -> int:
    """The size of a file."""
    with open_file(file) as content:
        return content.seek(0, os.SEEK_END)


def _tree(features: Float[np.ndarray, "n f"], training: method.Training) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(
        max_leaf_nodes=LEAVES, min_samples_leaf=RARE, class_weight="balanced", random_state=training.seed
    ).fit(features, training.labels)
