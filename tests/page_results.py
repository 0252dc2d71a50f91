"""Results as the pages of the report take them, made up: small, and with something for every section."""

from pathlib import Path

import numpy as np

from ganfp_jax.data.decode import encode_png, png_bytes
from ganfp_jax.report.grid import image_grid

VIEWS = ["identity", "rot90", "rot180", "rot270"]


def share(correct: int, total: int) -> dict:
    accuracy = correct / total
    ci95 = [max(accuracy - 0.02, 0), min(accuracy + 0.02, 1)]
    return {"accuracy": accuracy, "correct": correct, "total": total, "ci95": ci95}


def block(classes: list[str], right: int, each: int) -> dict:
    """Metrics of a method that is right on `right` of `each` images and calls all others the next class."""
    confusion = right * np.eye(len(classes), dtype=int) + (each - right) * np.roll(
        np.eye(len(classes), dtype=int), 1, 1
    )
    return {
        **share(right * len(classes), each * len(classes)),
        "per_class": {name: share(right, each) for name in classes},
        "confusion": confusion.tolist(),
        "classes": classes,
    }


def evaluation(classes, *, network="d4", condition="clean", views=VIEWS, right=90, single=80, changes=(12, 2, 0.013)):
    voted = len(views) > 1
    return {
        "network": network,
        "condition": condition,
        "count": 100,
        "views_name": "turns" if voted else "identity",
        "metrics": {
            **block(classes, right, 100),
            "views": list(views),
            "rule": "majority",
            "single_view": {**block(classes, single if voted else right, 100), "view": "identity"},
            "vote_changes": dict(zip(("wrong_to_right", "right_to_wrong", "mcnemar_p"), changes, strict=True)),
            "images_per_second": 1234.5,
        },
        "per_photograph": {"chelsea": share(45, 50), "flower": share(45, 50)},
    }


def baseline(classes, right, name="logistic_log_dct", condition="clean"):
    return {"name": name, "condition": condition, "count": 100, "metrics": block(classes, right, 100)}


def minimal_results() -> dict:
    """The least that the page can be made of."""
    classes = ["real", "ProGAN"]
    return {
        "title": "Which generator made this image?",
        "command": "python -m ganfp_jax.main --config=configs/quickstart.py",
        "created": "2026-01-01T00:00:00+00:00",
        "config": {},
        "versions": {},
        "devices": "cpu",
        "classes": classes,
        "counts": {"train": {}, "test": {}},
        "photographs": {"train": [], "test": []},
        "main": {"network": "d4", "condition": "clean", "views": "turns", "rule": "majority", "count": 100},
        "evaluations": [evaluation(classes)],
        "baselines": [],
        "samples": {},
        "wrong": [],
        "stages": [],
    }


def full_results(folder: Path) -> dict:
    """Something for every section."""
    classes = ["real", "ProGAN", "SNGAN"]
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    picture, grid = folder / "one.png", folder / "grid.png"
    encode_png(picture, images[0])
    encode_png(grid, image_grid(images, columns=3))
    wrong = {
        "picture": str(picture), "name": "real/chelsea_00001.png", "target": "real", "single": "real",
        "voted": "SNGAN", "votes": {"real": 1, "SNGAN": 3}, "confidence": 0.71,
    }  # fmt: skip
    return minimal_results() | {
        "config": {"seed": 0, "data": {"resolution": 32}},
        "versions": {"jax": "0.10.2"},
        "classes": classes,
        "counts": {"train": dict.fromkeys(classes, 1500), "test": dict.fromkeys(classes, 100)},
        "photographs": {"train": ["astronaut", "china"], "test": ["chelsea", "flower"]},
        "evaluations": [
            evaluation(classes),
            evaluation(classes, network="mirror", right=60, single=95, changes=(3, 108, 1e-20)),
            evaluation(classes, condition="jpeg75", right=50, single=49, changes=(30, 27, 0.79)),
            evaluation(classes, views=VIEWS[:1], right=80, changes=(0, 0, 1.0)),
        ],
        "baselines": [baseline(classes, 98), baseline(classes, 97, "logistic_pixels"),
                      baseline(classes, 66, condition="jpeg75")],
        "samples": {name: {"picture": str(grid), "caption": f"Six images of {name}."} for name in classes},
        "wrong": [wrong, wrong | {"name": "real/flower_00002.png", "voted": "real", "single": "ProGAN",
                                  "votes": {"real": 3, "ProGAN": 1}}],
        "stages": [{"name": "train ProGAN", "seconds": 71.0}, {"name": "evaluate", "seconds": 12.5}],
        "method": "Crops are reduced to half size first.",
        "immunised": "as the networks",
        "steps": {"ProGAN": 850},
    }  # fmt: skip


def measured(ratio, auc, eer, roc=True):
    curve = {"false_positive": [0.0, 0.2, 1.0], "true_positive": [0.0, 0.7, 1.0]}
    return {
        "n": 1200,
        "dimension": 512,
        "frechet_ratio": {"value": ratio, "ci95": [0.9 * ratio, 1.1 * ratio]},
        "verification": {
            "auc": {"value": auc, "ci95": [auc - 0.02, auc + 0.02]},
            "eer": {"value": eer, "ci95": [eer - 0.02, eer + 0.02]},
            "roc": curve if roc else None,
        },
    }


def fingerprint_results(classes, image_sized=False) -> dict:
    """Results of K sources; the sample of the last source is called the first."""
    rng = np.random.default_rng(0)
    number, side, steps = len(classes), 8, [0.125, 0.25, 0.375, 0.5]
    shape = (side, side, 3) if image_sized else (2, 4, 3)
    picture = lambda *size: rng.integers(0, 256, size or shape, dtype=np.uint8)  # noqa: E731
    samples = []
    for index, name in enumerate(classes):
        predicted = index if index < number - 1 else 0
        logits = [3.14 if place == predicted else -0.5 * place for place in range(number)]
        samples.append({
            "image": picture(side, side, 3), "fingerprint": picture(), "responses": [picture() for _ in classes],
            "logits": logits, "target": name, "predicted": classes[predicted], "name": f"{name}/{name}_0.png",
        })  # fmt: skip
    confusion = 9 * np.eye(number, dtype=int)
    confusion[-1, 0] = 1
    total = int(confusion.sum())
    spectra = {name: rng.normal(-2, 1, (side, side)) for name in classes}
    profiles = {name: [0.0, -1, -2, -3] for name in classes}
    return {
        "title": "Fingerprints",
        "command": "python -m ganfp_jax.main --config=configs/fingerprints.py",
        "created": "2026-01-01T00:00:00+00:00",
        "devices": "cpu",
        "config": {"seed": 0},
        "versions": {"jax": "0.10.2"},
        "classes": classes,
        "network": "A classifier with fingerprints of 512 values",
        "metrics": {
            **share(total - 1, total),
            "per_class": {name: share(9, 9) for name in classes},
            "confusion": confusion.tolist(),
            "classes": classes,
        },
        "interactions": (4 * np.eye(number) - 1).tolist(),
        "samples": samples,
        "models": [picture() for _ in classes],
        "embedding": {
            "points": rng.normal(size=(6 * number, 2)),
            "labels": np.repeat(np.arange(number), 6),
            "wrong": np.arange(6 * number) < 2,
        },
        "spectra": {
            "images": spectra,
            "fingerprints": spectra if image_sized else None,
            "profiles": {"images": profiles, "fingerprints": profiles if image_sized else None, "frequencies": steps},
        },
        "separability": {
            "fingerprints": measured(12.4, 0.93, 0.14)
            | {"control": measured(1.02, 0.5, 0.51), "photographs": measured(1.5, 0.6, 0.4)},
            "pixels": measured(3.1, 0.61, 0.43) | {"control": measured(0.97, 0.5, 0.5, roc=False), "photographs": None},
        },
        "cosine": np.where(np.eye(number), 1, -0.12).tolist(),
        "scales": {"Responses": "full strength at 0.05"},
        "notes": ["The generators are small."],
    }


def shown_results(folder: Path) -> dict:
    """`full_results` with what each view of a wrong image said, and with fingerprints."""
    results = full_results(folder)
    inspected = fingerprint_results(results["classes"])
    parts = {key: inspected[key] for key in ("classes", "samples", "models", "embedding", "scales")}
    parts["mapped"] = inspected["classes"]
    return results | {"wrong": wrong_with_views(results["wrong"]), "fingerprints": parts}


def wrong_with_views(wrong: list[dict]) -> list[dict]:
    """Of the first image the views named what its votes say, the last view of the second was not shown it."""
    pictures = np.random.default_rng(1).integers(0, 256, (len(VIEWS), 8, 8, 3), dtype=np.uint8)
    called = (["real", "SNGAN", "SNGAN", "SNGAN"], ["ProGAN", "real", "real", ""])
    return [
        image | {"views": [{"name": view, "called": name, "picture": png_bytes(picture)}
                           for view, name, picture in zip(VIEWS, names, pictures, strict=True)]}
        for image, names in zip(wrong, called, strict=True)
    ]  # fmt: skip


def ablation_results(folder: Path) -> dict:
    """Two conditions of three sets by two rules; the vote over turns is the best."""
    results = shown_results(folder)
    keys = ("created", "devices", "config", "versions", "classes", "samples", "wrong", "fingerprints")
    row = {"rule": "majority", "num_views": 4, "view_names": VIEWS, "accuracy": 0.9, "correct": 270, "total": 300}
    row |= {"ci95_low": 0.86, "ci95_high": 0.93, "wrong_to_right": 40, "right_to_wrong": 10, "mcnemar_p": 0.0001}
    row |= {"holm_p": 0.0004, "images_per_second": 250.0, "views": "turns"}
    single = {"views": "identity", "num_views": 1, "view_names": VIEWS[:1], "accuracy": 0.8, "correct": 240,
              "ci95_low": 0.75, "ci95_high": 0.84, "wrong_to_right": 0, "right_to_wrong": 0, "mcnemar_p": 1.0,
              "holm_p": None, "images_per_second": 1000.0}  # fmt: skip
    worse = {"views": "identity,rot15", "num_views": 2, "view_names": ["identity", "rot15"], "accuracy": 0.6,
             "correct": 180, "ci95_low": 0.54, "ci95_high": 0.65, "wrong_to_right": 5, "right_to_wrong": 65,
             "mcnemar_p": 1e-9, "holm_p": 1e-8}  # fmt: skip
    rows = [row | other | {"rule": rule} for other in (single, worse, {}) for rule in ("majority", "mean_logit")]
    area = {"auroc": 0.8, "ci95": [0.7, 0.9]}
    doubt = [
        {"views": "turns", "num_views": 4, "errors_of": name, "errors": 60, "disagreement": area, "control": area,
         "difference": {"auroc": 0.0, "ci95": None}}
        for name in ("single_view", "majority", "mean_logit")
    ]  # fmt: skip
    metrics = results["evaluations"][0]["metrics"]
    condition = {"single_view": metrics["single_view"], "rows": rows, "doubt": doubt}
    same_as_one = [other | {"holm_p": None if other["holm_p"] is None else 1.0} for other in rows]
    return {
        "title": "How should the views vote?",
        "command": "python -m ganfp_jax.main --config=configs/ablation.py",
        **{key: results[key] for key in keys},
        "conditions": [
            {"condition": "clean", **condition},
            {"condition": "jpeg75", **condition, "rows": same_as_one},
        ],
        "main": {"views": "turns", "rule": "majority", "holm_p": 0.0004, "metrics": metrics},
        "baselines": results["baselines"][:1],
        "method": "The network of runs/attribution was tested.",
        "immunised": "by JPEG quality 50–95",
        "photographs": True,
    }


def robustness_results() -> dict:
    """A plain and an immunised network and one baseline under four attacks."""
    results, rng = minimal_results(), np.random.default_rng(2)
    classes, families = results["classes"], {"clean": "none", "jpeg75": "jpeg", "jpeg30": "jpeg", "noise20": "noise"}
    families["combination"] = "combination"
    tested = {"holm_p": 0.01, "wrong_to_right": 2, "right_to_wrong": 30}
    rows = [
        {"network": name, "attack": attack, "n": 200, "single_view_accuracy": 0.7, **block(classes, 75, 100)}
        | {"ci95_low": 0.7, "ci95_high": 0.8, "images_per_second": 250.0}
        | (tested if attack != "clean" else dict.fromkeys(tested))
        | {"against_plain": None if name == "plain" else tested}
        for name in ("plain", "jpeg")
        for attack in families
    ]
    training = {"augment": "d4", "immunise": {"share": 0.5, "perturbations": ["jpeg50-95"]}}
    keys = ("created", "config", "versions", "devices", "classes")
    return {key: results[key] for key in keys} | {
        "title": "What attacks do",
        "command": "python -m ganfp_jax.main --config=configs/robustness.py",
        "views": VIEWS,
        "rule": "majority",
        "total": 200,
        "per_source": [100, 100],
        "networks": [{"name": name, "training": training, "checkpoint": f"runs/{name}"} for name in ("plain", "jpeg")],
        "attacks": [
            {"attack": attack, "family": family, "psnr": None if attack == "clean" else 30.0}
            for attack, family in families.items()
        ],
        "rows": rows,
        "baselines": [baseline(classes, 60, condition=attack) for attack in families],
        "pictures": {attack: rng.integers(0, 256, (16, 40, 3), dtype=np.uint8) for attack in families},
        "sentences": ["The networks are small."],
        "plain_command": "",
        "immunised": "by JPEG quality 50–95",
    }


def scored_tool(classes, right, **changes) -> dict:
    """What `score` says of a tool with scores and images of unknown sources."""
    number = {"value": 0.8, "ci95": [0.75, 0.85]}
    names = [*classes, "none of these"]
    met = block(classes, right, 100)
    confusion = [[*row, 0] for row in met["confusion"]] + [[30, 10, *[0] * (len(classes) - 1)]]
    return (
        met
        | {
            "confusion": confusion,
            "classes": names,
            "images": 340,
            "rejected": 0,
            "least_accuracy": met["accuracy"],
            "groups": None,
            "balanced_accuracy": number,
            "scores": {"auroc": number, "average_precision": number, "per_class": {}, "ece": None},
            "detection": {"auroc": number, "tpr_at_fpr_1": number, "cllr": number, "cllr_min": 0.3},
            "open_set": {
                "auroc": number,
                "oscr": number,
                "ccr_at_fpr_1": {"value": None, "ci95": None},
                "cllr_min": 0.4,
            },
        }
        | changes
    )


def score_results() -> dict:
    """Two tools with scores and one without, of whose rows some could not be used, and a leak."""
    results, classes = minimal_results(), ["real", "ProGAN", "SNGAN"]
    bare = {"scores": None, "detection": None, "open_set": None, "rejected": 3, "groups": dict.fromkeys(classes, 4)}
    tools = {
        "d4": scored_tool(classes, 90),
        "mirror": scored_tool(classes, 70),
        "jpeg": scored_tool(classes, 60, **bare),
    }
    found = {"wrong_to_right": 5, "right_to_wrong": 65, "mcnemar_p": 1e-9, "holm_p": 1e-9, "shared": 300}
    gain = {"difference": {"value": -0.2, "ci95": [-0.25, -0.15]}}
    even = {"wrong_to_right": 5, "right_to_wrong": 6, "holm_p": 0.9, "difference": {"value": 0.0, "ci95": None}}
    kind = {"kind": "format", "accuracy": 0.9, "ci95": [0.8, 0.95], "chance": 1 / 3, "p_holm": 1e-9, "verdict": "leak"}
    keys = ("created", "config", "versions", "devices")
    return {key: results[key] for key in keys} | {
        "title": "Which tool names the sources best?",
        "command": "python -m ganfp_jax.main --config=configs/score.py",
        "classes": classes,
        "tools": tools,
        "pairs": [
            {"first": "d4", "second": "mirror", **found, **gain},
            {"first": "mirror", "second": "jpeg", **found, **gain, **even},
        ],
        "audit": {
            "verdict": "LEAK: the classes are given away by the format.",
            "leak": True,
            "files_tested": 60,
            "kinds": [kind | {"says": "PNG in 100% of real, 0% of ProGAN"}],
        },
        "method": dict.fromkeys(
            ("accuracy", "balanced_accuracy", "scores", "ece", "detection", "open_set", "ci95", "pairs"), "as usual"
        ),
    }


def comparison_results(**changes) -> dict:
    """What `compare` says of three images and a reference of four; `changes` replace what is said."""
    results, classes = minimal_results(), ["real", "ProGAN", "SNGAN"]
    files = [(f"SNGAN/{number}.png", 64 * "a") for number in range(4)]
    return (
        {key: results[key] for key in ("created", "config", "versions", "devices")}
        | {
            "title": "Did one generator make these images and the reference?",
            "command": "python -m ganfp_jax.main --config=configs/compare.py",
            "classes": classes,
            "ratio": 25.0,
            "ci95": [8.0, 25.0],
            "bounds": [0.05, 25.0],
            "reference": files,
            "images": files[:3],
            "refused": [("broken.png", "is no image")],
            "known": {name: {"images": 40, "photographs": 3 if name == "real" else 40} for name in classes},
            "trials": {"same": 300, "different": 600, "independent": 28},
            "validity": {"cllr": {"value": 0.2, "ci95": [0.1, 0.3]}, "cllr_min": {"value": 0.1, "ci95": None}},
            "tippett": {"share": [1.0, 0.5, 0.0], "true": [-0.5, 1.0, 1.4], "false": [-1.3, -1.0, 0.4]},
            "digest": 64 * "b",
        }
        | changes
    )


def groups_results(**changes) -> dict:
    """What `group` says of twelve images in two groups; `changes` replace what is said."""
    results, classes = minimal_results(), ["real", "ProGAN", "SNGAN"]
    tiles = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    return (
        {key: results[key] for key in ("created", "config", "versions", "devices")}
        | {
            "title": "Which unknown images come from one generator?",
            "command": "python -m ganfp_jax.main --config=configs/group.py",
            "classes": classes,
            "images": 12,
            "groups": [
                {"group": 1, "images": 6, "central": "a/0.png", "distance": 0.42, "silhouette": 0.31},
                {"group": 2, "images": 5, "central": "b/0.png", "distance": 0.51, "silhouette": 0.22},
            ],
            "alone": ["c/0.png"],
            "refused": [("broken.png", "is no image")],
            "verdicts": {"unknown": 12, "SNGAN": 3},
            "of": ("unknown",),
            "known": dict.fromkeys(classes, 300),
            "threshold": 1.0,
            "smallest": 5,
            "digest": 64 * "b",
            "commands": [
                "python -m ganfp_jax.main --config=configs/enrol.py --config.images=@runs/group/group-1.txt",
                "",
            ],
            "tiles": [tiles[:6], tiles[6:11]],
            "tiles_alone": tiles[11:],
        }
        | changes
    )


def evidence_results(**changes) -> dict:
    """Evidence on a picture of several tiles, by a calibrated network; `changes` replace what is said."""
    results, classes = minimal_results(), ["real", "ProGAN", "SNGAN"]
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    said = zip(classes, (3, 5, 0), (0.3, 0.6, 0.1), (0.21, 0.5, 0.01), strict=True)
    return (
        {key: results[key] for key in ("created", "config", "versions", "devices", "command")}
        | {
            "title": "Which generator made this image?",
            "classes": classes,
            "name": "real/chelsea_00001.png",
            "verdict": "ProGAN",
            "sentence": "The image has traces like those of ProGAN.",
            "promise": "No more than 1% of such verdicts are wrong.",
            "note": "4 tiles, 40.0% of 60x40",
            "claims": (),
            "disagreement": "",
            "numbers": "5 of 8 views say ProGAN.",
            "picture": picture,
            "size": (40, 60),
            "boxes": np.array([[0, 0, 16, 16], [24, 44, 40, 60]]),
            "tiles": 2,
            "map": {
                "picture": picture,
                "labels": np.array([[0, 1, -1]]),
                "strengths": np.array([[0.9, 0.8, 0.0]]),
                "row_edges": [0, 40],
                "column_edges": [0, 20, 40, 60],
                "classes": classes,
                "shares": {"real": 1 / 3, "ProGAN": 1 / 3, "": 1 / 3},
            },
            "stability": None,
            "views": {"identity": "ProGAN", "rot90": "real"},
            "sources": [dict(zip(("name", "votes", "probability", "p_value"), row, strict=True)) for row in said],
            "unknown_rate": 0.05,
            "promises": ["No more than 1% of the verdicts are wrong.", "That was measured on 300 images."],
            "measured": [
                {"name": name, "images": 100, "decided": 90, "wrong": 1, "photographs": 41} for name in classes
            ],
            "limits": ["Who made the picture.", "Whether ProGAN was forged."],
            "record": {
                "The file": {"Name": "real/chelsea_00001.png", "SHA-256": 64 * "a"},
                "The network": {"Knows": "all"},
            },
        }
        | changes
    )


def evidence_index_results() -> dict:
    """A list of two pages and of a file that was refused."""
    shared = ("created", "config", "versions", "devices", "command", "classes")
    page = {"note": "4 tiles", "sha256": 64 * "a", "page": "000001_a b#1.html", "pdf": "000001_a b#1.pdf"}
    return {key: evidence_results()[key] for key in shared} | {
        "title": "Evidence",
        "verdicts": {"ProGAN": 1, "real": 1},
        "pages": [
            page | {"name": "real/chelsea_00001.png", "verdict": "ProGAN"},
            page | {"name": "real/real_0.png", "verdict": "real", "pdf": ""},
        ],
        "refused": [("ProGAN/ProGAN_0.png", "not an image")],
    }


def renamed(results, names):
    """Results in which every key and value that is one of `names` is called what stands there."""
    if isinstance(results, dict):
        return {names.get(key, key): renamed(value, names) for key, value in results.items()}
    if isinstance(results, list | tuple):
        return type(results)(renamed(value, names) for value in results)
    return names.get(results, results) if isinstance(results, str) else results
