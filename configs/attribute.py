"""Attribute images: a checkpoint and any images -> the source of each.

    python -m ganfp_jax.main --config=configs/attribute.py -- photo.png folder/ 'scans/**/*.jpg'
    python -m ganfp_jax.main --config=configs/attribute.py --config.checkpoint=runs/attribution --config.images=DIR

`checkpoint` is the name of a shipped set, a training's run folder, or a file of `configs/export_weights.py`. `images`
is a file, a folder (all images in it, at any depth) or a pattern; "@list.txt", a list with a path a line (or between
NULs), or "-", such a list on standard input; a CSV table (.csv, .tsv) with a column of paths, relative to its folder; a
tar archive (.tar, as of WebDataset); or a Parquet table with the images' bytes in a column. `column` names that column
where it is not called as usual, or not the only one. A list or table may name folders and archives. Several images,
such as the shell's expansion of a pattern, stand at the end. What is missing or broken is rejected with its reason.
`views` is a set of views or a list of them, as in `configs/evaluate.py`, and empty for those of the network's training;
`rule` of their vote is "majority", "mean_logit" or "mean_probability". `resize` fits images of another size than the
network's: "crop", "area" or "refuse".

The network looks at the whole of a larger picture: at tiles of its own size, pixel for pixel, at most `tiles` of them
(0: at the centre alone), evenly spread over all that is not flat. A tile is flat where its luma, times its share of
pixels that are neither black nor white, has a standard deviation below `min_luma_std`; a picture that is flat
everywhere has the verdict "nothing to see". (Where nothing else is to be seen, tiles down to a deviation of 1 count.)
The tiles' probabilities are multiplied, each to the power of a weight below 1, since tiles of one picture depend on
each other: `configs/calibrate.py` learns by how much. `votes` counts the views of all tiles, and `distance` is their
mean. The note tells how much of the picture was seen, and which other sources were found in single tiles, as in
"64 tiles, 12.3% of 4000x3000; ProGAN in 3 of 64 tiles"; it names one in at most 5 % of pictures without any, where the
network's probabilities hold.

`--config.maps=DIR` makes a map of each picture, too: which source was found where, by up to `map_windows` overlapping
windows over all of the picture. DIR gets `<number>_<name>.png`, the picture with its map and legend, and an `.npz` with
`labels` (-1: nothing to see), `probabilities`, `row_edges`, `column_edges` (the cells, in pixels) and `classes`. A map
costs `map_windows` votes, some seconds a picture on two cores. DIR may lie in a folder of `images`: maps that are in it
are not taken for images.

`--config.evidence=DIR` writes a page of evidence on each image, `<number>_<name>.html`, one file that opens without a
network: the picture with boxes around what was looked at and the map of its sources, the verdict in one sentence and
what it promises, each view's vote, the p-values of all sources, what the tool cannot know, the SHA-256 of file, network
and calibration, and the command that repeats it. DIR/index.html lists all pages, and the files that could not be used;
a shard writes none, nor does `configs/merge.py`. `evidence_pdf` prints each page as a PDF, too, where a Chromium is
installed, about a second a page. A map of each picture that has several tiles is made for it, of up to `map_windows`
windows. "real" is said there as "no trace of the generators that this network knows".

`--config.stability=True` tries how each verdict stands up to what may have happened to the file: the picture as JPEG of
quality 95 to 30, reduced to 95 to 50 %, enlarged to 105 to 200 %, cropped by 2 to 20 % and enlarged again, blurred by
0.25 to 2 pixels, 31 processings, each alone. `predictions.jsonl` has the object `stability`: by processing, the
`verdicts` and the `shares` of the views that still choose the voted source; the mildest of each family that changes the
verdict (`changed_by`); and one number (`value`), the mean of the shares over each family and over families. The page of
evidence has a figure and a sentence. It costs 32 verdicts an image more: with restorers64, of a photograph of 451x300
pixels 9 s of one core, and of a large one, of which the middle 2048x2048 pixels are processed, 19 s.

The console shows up to 30 images one by one; of more, it counts the verdicts. The verdict is a source, "nothing to
see", or, where the network was calibrated (`configs/calibrate.py`), "unsure" or "unknown". It is unsure where the
margin is too small for the calibration's error rate. Calibrations that know how strange images of each source are say
more: "unknown" of an image that is typical of no source, and "unsure" of one that is typical of another source than
the one that was voted for, with the set in the note ("could be real or ProGAN"). Beside the verdict are the source's
probability, the number of views that chose it, the margin (the lead of its probability over the next source's), the
distance of the image's fingerprint to that of the nearest source (0 is the same direction, 1 nothing in common), and
the typicality, a p-value: the share of photographs of that source with images at least as strange. A network knows
only its sources: images of others that are like one of these get its name.

What a file says of its own making is read, too, and stands in the column `claims`, a JSON list, empty where it says
nothing: the text that generators' tools write (the Stable Diffusion web UI, ComfyUI, InvokeAI, NovelAI, Midjourney and
others) into PNG, EXIF and XMP, IPTC's DigitalSourceType, and C2PA manifests. These are read with `pip install
'ganfp_jax[claims]'` and else said to be there; "intact" means that record and image are as somebody signed them, not
that the signer is known, and nothing is fetched. No verdict rests on a claim, since anybody can write, copy or remove
one. Where a claim and a verdict that names a source cannot both be all of the truth, a sentence at the end of the list
says so (in `predictions.jsonl`: `disagreement`).

Ten million images take days, and somebody will stop the work. Verdicts are written in parts of `part_size` images:
`parts/000000/` and so on in the run folder, each whole or absent, with the same files as below; they can be read while
the work goes on. The same command goes on with the first part that is not done, and refuses to where the network, the
views, another setting, the reader of claims or the list of images is not the same; it says which. (The list is that of
the names: an image that was replaced under its name is not noticed in a part that is done.) At the end the parts become
the files below and are removed. Memory does not grow with the number of images in a folder tree, a list or an archive,
but for the names in the largest folder.

`shard` is "i/n", i from 0: this run takes the images whose path below the named folder hashes to i, so n processes or
machines share the work without knowing of each other, and an image stays in its shard when others are added. Each
needs a `--workdir` of its own in one folder, where its parts stay; `configs/merge.py` joins them. Each makes the list
of all images (some 100,000 names a second).

The run folder gets `predictions.csv` (as of `configs/evaluate.py`, without targets; the last columns are verdict,
margin, distance, typicality, sources (a JSON list of those that the image is typical of, the most typical first; both
are empty where they were not learned), tiles and claims), `predictions.jsonl` (one object an image, with all of it
and the choice of every view), `rejected.csv` (refused files and the reasons) and `notes.csv` (the doubts of typicality,
and the changes to images of another size). A later run in the same run folder may have other images and replaces the
results.

Exit status: 0 every file got a verdict; 1 an unforeseen error; 2 a user's mistake, such as no image at all; 3 some
files could not be used, all others have their verdicts (files in a folder without the suffix of an image do not count,
but are in `rejected.csv`). Where the network was compiled before, the first verdict takes two seconds of one core;
about 300 images of 32x32 pixels a second and core follow, nine tenths of the network's own speed.

By default, the shipped network attributes the images of `configs/quickstart.py`; `:tiny` takes network and images of
`configs/quickstart.py:tiny`.
"""

from ml_collections import ConfigDict

from ganfp_jax.run.variants import choose


def get_config(variant: str = "default") -> ConfigDict:
    """The config of one of the variants default, tiny."""
    return choose(variant, {"default": _default, "tiny": _tiny})


def _default() -> ConfigDict:
    return ConfigDict(
        {
            "job": "attribute",
            "checkpoint": "photos32",
            "images": "runs/quickstart/images/test",
            "column": "",
            "views": "",
            "rule": "majority",
            "resize": "crop",
            "tiles": 64,
            "maps": "",
            "map_windows": 512,
            "evidence": "",
            "evidence_pdf": True,
            "stability": False,
            "min_luma_std": 10.0,
            "batch_size": 32,
            "part_size": 10_000,
            "shard": "",
        }
    )


def _tiny() -> ConfigDict:
    config = _default()
    config.checkpoint = "runs/quickstart-tiny/visnet-d4"
    config.images = "runs/quickstart-tiny/images/test"
    return config
