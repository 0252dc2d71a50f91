"""Classifiers on files without their pixels: a control on metadata that must stay at chance, and the file size.

If a classifier knows the sources from formats, dimensions or text that a program left in the file, the images were
written in different ways, and every accuracy on them is in doubt. Where all files were written alike, it only guesses.
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
RARE = 0.01  # least share of training files with a token, and in a leaf, so that no single file is learnt
LONG = 40  # characters from which on a text counts only as long


def fit(training: method.Training) -> method.Model:
    """Trains a decision tree on the presence of `tokens` that are not rare in the training files.

    Where files do not differ, it predicts one source for all, which is right as often as that source occurs.
    """
    learnt = [tokens(path) for path in training.samples]
    counts = Counter(itertools.chain.from_iterable(learnt))
    known = sorted(token for token, count in counts.items() if count >= RARE * len(learnt))

    def features(files: Sequence[frozenset[str]]) -> Float[np.ndarray, "n f"]:
        return np.array([[token in file for token in known] for file in files], float).reshape(len(files), len(known))

    tree = _tree(features(learnt), training)
    return method.Model(lambda paths: tree.predict_proba(features([tokens(path) for path in paths])))


def fit_file_size(training: method.Training) -> method.Model:
    """Trains a decision tree on the file size. It is no control, since compressed sizes depend on the pixels."""

    def sizes(files: Sequence[ImageFile]) -> Float[np.ndarray, "n 1"]:
        return np.array([num_bytes(file) for file in files], float).reshape(-1, 1)

    tree = _tree(sizes(training.samples), training)
    return method.Model(lambda paths: tree.predict_proba(sizes(paths)))


def tokens(file: ImageFile) -> frozenset[str]:
    """The metadata of a file as tokens such as "format=PNG", "size=32x32", "chunk=tEXt", "text Software=GIMP".

    They cover suffix, format, width and height, mode, frames, the names and order of all segments, chunks, boxes,
    blocks and tags (`data.decoding.segments`), sampling and quantisation tables (JPEG), EXIF tags, the digest of the
    colour profile, and all else that Pillow finds beside the pixels, with short values. They do not cover the name, the
    number of bytes and the times of the file. A file that cannot be opened has the token "unreadable".
    """
    words = {f"suffix={PurePath(file.name).suffix.lower()}"}
    try:
        with open_header(file) as image:
            words |= {f"format={image.format}", f"size={image.width}x{image.height}", f"mode={image.mode}"}
            words |= {f"frames={getattr(image, 'n_frames', 1)}", f"sampling={getattr(image, 'layer', '')}"}
            for key, value in {**image.info, **getattr(image, "text", {})}.items():
                words |= {f"text {key}", f"text {key}={value}" if len(str(value)) < LONG else f"text {key} is long"}
            words |= {f"exif {tag}={str(value)[:LONG]}" for tag, value in image.getexif().items()}
            words |= {f"table {n}={table}" for n, table in getattr(image, "quantization", {}).items()}
            if profile := image.info.get("icc_profile"):
                words.add(f"profile={hashlib.sha256(profile).hexdigest()[:8]}")
        with open_file(file) as content:
            words |= segments.words_of(content.read(segments.MOST_BYTES))
    except Exception:  # decoders raise errors of any type for damaged files
        words.add("unreadable")
    return frozenset(words)


def num_bytes(file: ImageFile) -> int:
    """The size of a file in bytes."""
    with open_file(file) as content:
        return content.seek(0, os.SEEK_END)


def _tree(features: Float[np.ndarray, "n f"], training: method.Training) -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(
        max_leaf_nodes=LEAVES, min_samples_leaf=RARE, class_weight="balanced", random_state=training.seed
    ).fit(features, training.labels)
