"""The course project's test, repeated: a few images of three sources, attributed by one view and by votes over views.

Another draw of 15 or of 150 images gives another accuracy. So the test is repeated on many small data sets, each from
its own seed, with the generators and networks of one finished study. It reports the mean over the seeds with its
interval.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganfp_jax.attribution import predictions
from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.view_logits import evaluation_of, view_logits
from ganfp_jax.attribution.voting import check_rule
from ganfp_jax.data import labelled, manifests, sources
from ganfp_jax.data.views import resolve_views
from ganfp_jax.generation.folders import file_name, write_generated, write_source
from ganfp_jax.generation.sampler import Sampler
from ganfp_jax.metrics.statistics import mcnemar_p, mean_interval, proportion
from ganfp_jax.report import wording
from ganfp_jax.report.table import ImageRow, csv_text, per_image_table, text_table
from ganfp_jax.run import atomic
from ganfp_jax.run.errors import UserError
from ganfp_jax.run.progress import progress
from ganfp_jax.run.run_folder import CONFIG, read_config, write_json

GENERATORS = ("progan", "sngan")
COUNT_KEYS = ("n_real", "n_progan", "n_sngan")  # in the order of a data set's sources: real, then GENERATORS
SINGLE = "identity"  # the view that every vote is compared with
# Images of a test -> right answers of the project's network (trained on CelebA at 128x128) by one view.
PUBLISHED = {(5, 5, 5): 14, (50, 50, 50): 138}
SUMMARY_HEADERS = (
    *("images", "network", "views", "mean accuracy (95%)", "right", "gain in points (95%)"),
    *("seeds: helped, same, hurt", "images: repaired, broken (p)", "published"),
)
METHOD = {
    "tests": "the images of a smaller test are the first of each source of the larger one",
    "ci95": "Student's t over the dataset seeds: the draw of test images alone; photographs, generators and networks "
    "are the same for all seeds",
    "mcnemar_p": "over the images of all seeds; no two are equal, but crops of one photograph overlap",
    "published": "another network, other generators, CelebA faces at 128x128: a figure to stand beside, not to match",
}


def run(config: dict[str, Any], workdir: Path) -> None:
    """The job `course_project`; dataset seeds with a file in `seeds/` are not repeated.

    Raises:
        UserError: a value is bad, or `config.study` is no finished study of these generators and networks.
    """
    tests = _checked_tests(config)
    view_sets = _checked_views(config)
    study = open_study(Path(config["study"]), config["networks"])
    _check_seeds(config["dataset_seeds"], Path(config["study"]))
    if missing := [seed for seed in config["dataset_seeds"] if not _record_of(workdir, seed).exists()]:
        attribute_datasets(config, study, workdir, missing, tests, view_sets)
    records = [json.loads(_record_of(workdir, seed).read_text()) for seed in config["dataset_seeds"]]
    rows = [row for counts in tests for record in records for row in rows_of(record, counts)]
    published = {sum(counts): PUBLISHED[counts] for counts in tests if counts in PUBLISHED}
    summary = summarise(rows, published)
    atomic.write_bytes(workdir / "course.csv", course_csv(rows).encode())
    write_json(workdir / "results.json", {"config": config, "method": METHOD, "summary": summary, "rows": rows})
    _tell(config, records[0], tests[0], summary)
    print(f"every seed: {workdir / 'course.csv'}  results: {workdir / 'results.json'}")


def open_study(folder: Path, networks: Sequence[str]) -> dict[str, Any]:
    """Returns the config of a finished study that has the test's generators and `networks`.

    Raises:
        UserError: the folder is no such study; the missing part is named.
    """
    remedy = "give the run folder of `python -m ganfp_jax.main --config=configs/quickstart.py:course`"
    if not (folder / CONFIG).is_file():
        raise UserError(f"config.study: {folder} is not a run folder; {remedy}")
    study = read_config(folder)
    if study.get("job") != "quickstart" or "generators" not in study:
        raise UserError(f"config.study: {folder} holds no study (its job is {study.get('job')!r}); {remedy}")
    for key, wanted in (("generators", GENERATORS), ("networks", networks)):
        if absent := [name for name in wanted if name not in study[key]]:
            raise UserError(f"config.study: {folder} has no {absent[0]} among its {key}; {remedy}")
    if not (folder / "results.json").exists():
        raise UserError(f"config.study: the study in {folder} is not finished; run its command again, it resumes")
    return study


def attribute_datasets(
    config: Mapping[str, Any],
    study: Mapping[str, Any],
    workdir: Path,
    seeds: Sequence[int],
    tests: Sequence[tuple[int, ...]],
    view_sets: Mapping[str, Sequence[str]],
) -> None:
    """Draws the data set of each of `seeds`, attributes it and writes both to the run folder."""
    folder, most = Path(config["study"]), np.max(tests, axis=0).tolist()
    crops = draw_crops(study["photos"], config["dataset_seeds"], most[0], study["resolution"])
    samplers = [Sampler(folder / name) for name in GENERATORS]
    networks = {network: Attributor.load(folder / f"visnet-{network}") for network in config["networks"]}
    with progress(len(seeds), "course test", "dataset") as bar:
        for seed in seeds:
            root = workdir / "images" / f"seed{seed}"
            names = write_dataset(root, crops[seed], samplers, most[1:], seed, study["photos"])
            answers = {
                network: ask(attributor, root, names, view_sets, config["rule"], config["batch_size"])
                for network, attributor in networks.items()
            }
            _record_of(workdir, seed).parent.mkdir(exist_ok=True)
            write_json(_record_of(workdir, seed), {"seed": seed, "names": names, "answers": answers})
            bar.update()


def draw_crops(
    photos: Mapping[str, Any], seeds: Sequence[int], count: int, resolution: int
) -> dict[int, sources.ImageSet]:
    """Draws `count` crops of the held-out photographs for each seed; all crops are different.

    The crops of a seed are those of `sources.photos`, without repetitions of earlier crops: a photograph has some ten
    thousand places for a crop, so a thousand draws repeat a few.

    Raises:
        UserError: `sources.photos` raises one, or the photographs have too few different crops.
    """
    seen: set[bytes] = set()
    crops = {}
    with progress(len(seeds), "crops", "dataset") as bar:
        for seed in seeds:
            drawn = sources.photos(split="test", count=2 * count + 16, resolution=resolution, seed=seed, **photos)
            kept: list[int] = []
            for i, image in enumerate(drawn.images):
                if len(kept) < count and image.tobytes() not in seen:
                    seen.add(image.tobytes())
                    kept.append(i)
            if len(kept) < count:
                raise UserError(f"the photographs have too few different crops for seed {seed}; lower config.n_real")
            names, origins = (tuple(values[i] for i in kept) for values in (drawn.names, drawn.origins))
            crops[seed] = sources.ImageSet(drawn.images[kept], names, origins)
            bar.update()
    return crops


def write_dataset(
    root: Path,
    crops: sources.ImageSet,
    samplers: Sequence[Sampler],
    counts: Sequence[int],
    seed: int,
    photos: Mapping[str, Any],
) -> list[str]:
    """Writes one labelled folder; returns its "source/file" names by source, in the order of the draws."""
    origin = {"source": "photos", "photographs": sorted(set(crops.origins)), "split": "test", **photos}
    origin |= {"seed": seed, "count": len(crops), "resolution": crops.images.shape[1]}
    files = [f"{name}.png" for name in crops.names]
    write_source(root, "real", origin, files, zip(files, crops.images, strict=True))
    names = [f"real/{file}" for file in files]
    for sampler, count in zip(samplers, counts, strict=True):
        # All batches have one size, so that only one program is compiled.
        write_generated(sampler, root, count=count, seed=seed, batch_size=64)
        names += [f"{sampler.source_name}/{file_name(sampler.source_name, i)}" for i in range(count)]
    return names


def ask(
    attributor: Attributor,
    root: Path,
    names: Sequence[str],
    view_sets: Mapping[str, Sequence[str]],
    rule: str,
    batch_size: int,
) -> dict[str, dict[str, Any]]:
    """Returns each view set -> the class that its vote names for each image, and the votes of each class.

    Each view of an image is classified once and shared by the sets that contain it.
    """
    folder = labelled.open_labelled(root, classes=attributor.classes)
    images = labelled.Images(folder, attributor.resolution).part([folder.names.index(name) for name in names])
    views = list(dict.fromkeys(view for views in view_sets.values() for view in views))
    measured = view_logits(attributor, images, views, batch_size=batch_size, label=root.name)
    answers = {}
    for called, some in view_sets.items():
        row = {"view_names": some, "rule": rule, "images_per_second": 0.0}
        rows = predictions.image_rows(evaluation_of(row, measured, attributor.classes))
        answers[called] = {"predicted": [one.predicted for one in rows], "votes": [one.votes for one in rows]}
    return answers


def image_rows(record: Mapping[str, Any], counts: Sequence[int], network: str, views: str) -> list[ImageRow]:
    """Returns one row for each image of a test, with the answers of one network and view set.

    Args:
        record: a record of `attribute_datasets`.
        counts: images of each source in the test; the first ones are taken.
    """
    answers = record["answers"][network][views]
    rows = [
        ImageRow(name, name.split("/")[0], predicted, votes)
        for name, predicted, votes in zip(record["names"], answers["predicted"], answers["votes"], strict=True)
    ]
    sources = dict.fromkeys(row.target for row in rows)
    first = [[row for row in rows if row.target == source][:n] for source, n in zip(sources, counts, strict=True)]
    return [row for some in first for row in some]


def rows_of(record: Mapping[str, Any], counts: Sequence[int]) -> list[dict[str, Any]]:
    """Returns the results of one test on one data set: a row for each network and view set.

    Args:
        record, counts: as for `image_rows`.

    Returns:
        Rows of `images` (all of the test), `seed`, `network`, `views`, `correct`, `repaired` and `broken` (compared
        with the single view) and `right` by source.
    """
    rows = []
    for network, answers in record["answers"].items():
        images = {views: image_rows(record, counts, network, views) for views in answers}
        right = {views: np.array([row.target == row.predicted for row in own]) for views, own in images.items()}
        targets = np.array([row.target for row in images[SINGLE]])
        for views, hits in right.items():
            rows.append({
                "images": len(targets),
                "seed": record["seed"],
                "network": network,
                "views": views,
                "correct": int(hits.sum()),
                "repaired": int((hits & ~right[SINGLE]).sum()),
                "broken": int((right[SINGLE] & ~hits).sum()),
                "right": {source: int(hits[targets == source].sum()) for source in dict.fromkeys(targets.tolist())},
            })  # fmt: skip
    return rows


def summarise(rows: Sequence[Mapping[str, Any]], published: Mapping[int, int]) -> list[dict[str, Any]]:
    """Returns one entry for each test, network and view set, over all seeds.

    Args:
        rows: the rows of `rows_of` for every seed.
        published: images of a test -> the course project's right answers by one view.

    Returns:
        Entries of `mean` accuracy with `ci95` (None for one seed, or where all agree), `least` and `most` right, and
        `right` pooled by source. A vote also has its `gain` over the single view (mean and ci95), the number of seeds
        in which it `helped`, left the count the `same` or `hurt`, and `repaired`, `broken` and `mcnemar_p` of the
        pooled images. The single view has `published` and the number of seeds that reached it.
    """
    summary = []
    for images, network, views in dict.fromkeys((row["images"], row["network"], row["views"]) for row in rows):
        group = [row for row in rows if (row["images"], row["network"], row["views"]) == (images, network, views)]
        correct = np.array([row["correct"] for row in group])
        entry: dict[str, Any] = {
            "images": images,
            "network": network,
            "views": views,
            "seeds": len(group),
            "mean": float(correct.mean()) / images,
            "ci95": mean_interval(correct / images, within=(0.0, 1.0)),
            "least": int(correct.min()),
            "most": int(correct.max()),
            "right": {source: sum(row["right"][source] for row in group) for source in group[0]["right"]},
        }
        if views == SINGLE:
            if images in published:
                reached = int((correct >= published[images]).sum())
                entry["published"] = {**proportion(published[images], images), "seeds_reaching_it": reached}
        else:
            repaired, broken = (np.array([row[key] for row in group]) for key in ("repaired", "broken"))
            change = repaired - broken
            entry |= {
                "gain": {"mean": float(change.mean()) / images, "ci95": mean_interval(change / images)},
                "helped": int((change > 0).sum()),
                "same": int((change == 0).sum()),
                "hurt": int((change < 0).sum()),
                "repaired": int(repaired.sum()),
                "broken": int(broken.sum()),
                "mcnemar_p": mcnemar_p(int(repaired.sum()), int(broken.sum())),
            }
        summary.append(entry)
    return summary


def course_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Returns the text of course.csv: one line for each test, seed, network and view set, with a column a source."""
    flat = [
        {key: value for key, value in row.items() if key != "right"}
        | {f"right_{source}": n for source, n in row["right"].items()}
        for row in rows
    ]
    return csv_text(list(flat[0]), flat)


def summary_cells(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Formats an entry of `summarise` under `SUMMARY_HEADERS`."""
    mean = wording.percent(entry["mean"])
    changes = ("", "", "")
    if "gain" in entry:
        p, gain = wording.p_value(entry["mcnemar_p"]), entry["gain"]
        bounds = " ({} to {})".format(*(wording.signed(100 * x) for x in gain["ci95"])) if gain["ci95"] else ""
        changes = (
            f"{wording.signed(100 * gain['mean'])}{bounds}",
            f"{entry['helped']}, {entry['same']}, {entry['hurt']}",
            f"{entry['repaired']}, {entry['broken']} ({p})",
        )
    published = entry.get("published")
    return (
        str(entry["images"]),
        entry["network"],
        entry["views"],
        mean if entry["ci95"] is None else f"{mean} ({wording.interval(entry['ci95'])})",
        f"{entry['least']}–{entry['most']}",
        *changes,
        f"{published['correct']} of {published['total']}" if published else "",
    )


def _tell(
    config: Mapping[str, Any], record: Mapping[str, Any], counts: tuple[int, ...], summary: Sequence[Mapping[str, Any]]
) -> None:
    """Prints the smallest test of the first seed image by image, without and with the vote, and the summary."""
    network, rule = config["networks"][-1], wording.rule_label(config["rule"])
    if sum(counts) <= 30:
        for views, how in ((SINGLE, "one view"), (config["view_sets"][-1], f"{rule} of {config['view_sets'][-1]}")):
            print(f"seed {record['seed']}, network {network}, {how}:\n")
            print(per_image_table(image_rows(record, counts, network, views)) + "\n")
    print(text_table(SUMMARY_HEADERS, map(summary_cells, summary), align="><<>>>>>>"))
    print(f"\nOver {summary[0]['seeds']} dataset seeds.", end=" ")
    print(f"Published: {METHOD['published']}." if any("published" in entry for entry in summary) else "")


def _record_of(workdir: Path, seed: int) -> Path:
    return workdir / "seeds" / f"{seed}.json"


def _checked_tests(config: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """Returns the images a source (real, ProGAN, SNGAN) for each test, the smallest test first."""
    lengths = {key: len(config[key]) for key in COUNT_KEYS}
    if len(set(lengths.values())) > 1 or not min(lengths.values()):
        counts_text = ", ".join(f"config.{key} has {n}" for key, n in lengths.items())
        raise UserError(f"{counts_text}: give as many numbers each, one a test, such as --config.n_real='(5, 50)'")
    for key in COUNT_KEYS:
        if bad := [count for count in config[key] if count < 1]:
            raise UserError(f"config.{key} has {bad[0]}; a test needs one image of every source or more")
    tests = sorted(zip(*(config[key] for key in COUNT_KEYS), strict=True), key=sum)
    if len({sum(counts) for counts in tests}) < len(tests):
        raise UserError("two tests have the same number of images; change config.n_real, n_progan or n_sngan")
    return tests


def _checked_views(config: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Returns the view sets by name, the single view first."""
    check_rule(config["rule"])
    for key in ("networks", "view_sets", "dataset_seeds"):
        if not config[key] or len(set(config[key])) < len(config[key]):
            raise UserError(f"config.{key} is {config[key]}; give one or more, each once")
    return {SINGLE: (SINGLE,)} | {views: resolve_views(views) for views in config["view_sets"]}


def _check_seeds(seeds: Sequence[int], study: Path) -> None:
    """Refuses the seeds of the study: a generator would draw images that the networks were trained on."""
    for split in labelled.SPLITS:
        manifest = manifests.read_manifest(study / "images" / split) or {"sources": {}}
        used = {origin.get("seed") for origin in manifest["sources"].values()}
        if clash := [seed for seed in seeds if seed in used]:
            raise UserError(
                f"config.dataset_seeds: seed {clash[0]} has made the {split} images of {study}; leave it out"
            )
