"""The page of the job `robustness`: the effect of perturbations on attribution networks, and the use of immunising.

The number of the headline always has these beside it: the same network on clean images, the plain network, guessing and
the best cheap baseline on the same perturbed images.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganfp_jax.baselines import IMMUNISED
from ganfp_jax.report import figures, rendering, wording
from ganfp_jax.report.few import most_confused, what_is_shown
from ganfp_jax.report.findings import SIGNIFICANT, baseline_finding
from ganfp_jax.report.leak import best_baseline, leak_of, leak_sentence
from ganfp_jax.report.robustness_figure import MIXED, draw_robustness, panels

PLAIN = "plain"
PICTURED = 8  # sources with an image under every perturbation
CLEAN = "clean"


def values(results: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the template's values of `results.RobustnessPage`."""
    from markupsafe import Markup

    condition = results["attacks"][-1]["attack"]
    names = [entry["name"] for entry in results["networks"]]
    main = next((name for name in names if name != PLAIN), names[0])
    rows = {(row["network"], row["attack"]): row for row in results["rows"]}
    under = [entry for entry in results["baselines"] if entry["condition"] == condition]
    best, leak = best_baseline(under), leak_of(results["baselines"])
    sources = most_confused(rows[main, condition], classes=results["classes"])
    chance, guess = wording.guess(rows[main, condition]["confusion"])
    return {
        "attack": condition,
        "label": wording.in_a_sentence(condition),
        "main": rows[main, condition],
        "main_trained": next(trained(entry["training"]) for entry in results["networks"] if entry["name"] == main),
        "drawn": MIXED in panels(results),
        "clean": rows[main, CLEAN],
        "plain_known": _plain_known(results),
        "plain": rows[PLAIN, condition] if PLAIN in names and main != PLAIN else None,
        "compared": PLAIN in names and len(names) > 1,
        "leak": leak and leak_sentence(leak),
        "few": what_is_shown(sources, results["classes"], "metrics.json"),
        "best": best and {**best} | {"label": wording.baseline_label(best["name"], results["immunised"])},
        "chance": chance,
        "guess": guess,
        "findings": list(_findings(results, rows, main, condition, best)),
        "networks": [{**entry, "trained": trained(entry["training"])} for entry in results["networks"]],
        "counts": _counts(results),
        "groups": [
            {
                **entry,
                "rows": [rows[name, entry["attack"]] for name in names],
                "baselines": [
                    one | {"label": wording.baseline_label(one["name"], results["immunised"])}
                    for one in results["baselines"]
                    if one["condition"] == entry["attack"]
                ],
            }
            for entry in results["attacks"]
        ],
        "pictured": PICTURED,
        "figure": Markup(figures.drawing(draw_robustness, results)),
        "pictures": [
            {
                "attack": entry["attack"],
                "psnr": entry["psnr"],
                **rendering.picture(results["pictures"][entry["attack"]]),
            }
            for entry in results["attacks"]
        ],
        "matrices": _matrices(results, condition, best, sources),
    }


def trained(training: Mapping[str, Any] | None) -> str:
    """Describes the training of a network in words."""
    if training is None:
        return "not known: these weights do not say"
    immunise = training["immunise"]
    perturbed = "no attacked image"
    if immunise["share"]:
        perturbed = f"{immunise['share']:.0%} of the images attacked {wording.immunised_by(immunise)}"
    return f"{perturbed}; turned and flipped: {training['augment']}"


def _plain_known(results: Mapping[str, Any]) -> bool:
    """Whether the plain network, where there is one, is known to have seen no perturbed image."""
    return all(entry["training"] is not None for entry in results["networks"] if entry["name"] == PLAIN)


def _counts(results: Mapping[str, Any]) -> str:
    per_source = results["per_source"]
    if len(set(per_source)) == 1:
        return f"{per_source[0]:,} images of each source"
    pairs = zip(per_source, results["classes"], strict=True)
    return wording.listed([f"{count:,} of {name}" for count, name in pairs])


def _findings(
    results: Mapping[str, Any],
    rows: Mapping[tuple[str, str], Mapping[str, Any]],
    main: str,
    condition: str,
    best: Mapping[str, Any] | None,
) -> Iterable[str]:
    """Yields the findings in sentences; those that weaken the main number come first."""
    headline, label = rows[main, condition], wording.in_a_sentence(condition)
    chance, guess = wording.guess(headline["confusion"])
    if headline["ci95_low"] <= chance:
        yield f"Under {label} the {main} network is, within its interval, no better than {guess}."
    interval = (headline["ci95_low"], headline["ci95_high"])
    yield baseline_finding({**headline, "ci95": interval}, best, results["immunised"], label)
    yield from _treatment_finding(results, main)
    conditions = [entry["attack"] for entry in results["attacks"] if entry["attack"] != CLEAN]
    for entry in results["networks"]:
        yield _perturbation_finding(entry["name"], [rows[entry["name"], name] for name in conditions])
    if (PLAIN, CLEAN) not in rows:
        yield "No plain network was measured, so nothing here says what immunising has changed."
        return
    if not _plain_known(results):
        yield (
            "How the network given as plain was trained is not known: it may have seen attacked images, and then a "
            "comparison with it does not say what immunising has changed."
        )
    for entry in results["networks"]:
        if entry["name"] != PLAIN:
            name = entry["name"]
            yield _plain_finding(name, rows[name, CLEAN], rows[PLAIN, CLEAN], [rows[name, a] for a in conditions])


def _treatment_finding(results: Mapping[str, Any], main: str) -> Iterable[str]:
    """Yields a sentence where networks and baselines were immunised by different perturbations."""
    training = next(entry["training"] for entry in results["networks"] if entry["name"] == main)
    immunised = any(entry["name"].endswith(IMMUNISED) for entry in results["baselines"])
    network = wording.immunised_by(training["immunise"]) if training else ""
    if immunised and network and network != results["immunised"]:
        yield (
            f"The {main} network was immunised {network}, the immunised baselines {results['immunised']}: what differs "
            "between them may be the treatment. config.baselines.immunise gives the baselines another one."
        )


def _perturbation_finding(name: str, perturbed: Sequence[Mapping[str, Any]]) -> str:
    harmed = sum(_worse(row) for row in perturbed)
    worst = min(perturbed, key=lambda row: row["accuracy"])
    return (
        f"The {name} network is worse than on clean images under {harmed} of {_counted(len(perturbed))} (Holm p < "
        f"{SIGNIFICANT}); lowest, with {wording.percent(worst['accuracy'])}, under "
        f"{wording.in_a_sentence(worst['attack'])}."
    )


def _plain_finding(
    name: str, clean: Mapping[str, Any], plain: Mapping[str, Any], perturbed: Sequence[Mapping[str, Any]]
) -> str:
    tests = [row["against_plain"] for row in perturbed]
    better = sum(_worse({**test, "wrong_to_right": test["right_to_wrong"], "right_to_wrong": test["wrong_to_right"]})
                 for test in tests)  # fmt: skip
    return (
        f"Against the plain network, {name} is better under {better} and worse under {sum(map(_worse, tests))} of "
        f"{_counted(len(tests))} (Holm p < {SIGNIFICANT}); on clean images it reaches "
        f"{wording.percent(clean['accuracy'])}, the plain one {wording.percent(plain['accuracy'])}."
    )


def _worse(test: Mapping[str, Any]) -> bool:
    return test["holm_p"] < SIGNIFICANT and test["right_to_wrong"] > test["wrong_to_right"]


def _counted(number: int) -> str:
    """Writes a number of perturbations, which pages call attacks."""
    return f"{number} attack{'s' * (number != 1)}"


def _matrices(
    results: Mapping[str, Any], condition: str, best: Mapping[str, Any] | None, sources: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Returns confusion matrices: those of the headline's condition, and those of the networks under all others."""
    classes = results["classes"]
    first: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    for row in results["rows"]:
        title = f"{row['network']} network, {wording.condition_label(row['attack'])}"
        matrix = rendering.confusion_matrix(title, row, classes, sources)
        (first if row["attack"] == condition else others).append(matrix)
    if best is not None:
        title = wording.baseline_label(best["name"], results["immunised"])
        first.append(rendering.confusion_matrix(title, best["metrics"], classes, sources))
    return {"shown": first, "others": others}
