"""The page of an ablation: votes by sets of views and by rules, beside one view and cheap baselines."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganfp_jax.report import figures, rendering, wording
from ganfp_jax.report.ablation_figure import draw_ablation
from ganfp_jax.report.few import most_confused, what_is_shown
from ganfp_jax.report.findings import SIGNIFICANT
from ganfp_jax.report.leak import best_baseline, leak_of, leak_sentence


def values(results: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the template's values of `results.AblationPage`."""
    from markupsafe import Markup

    metrics, classes = results["main"]["metrics"], results["classes"]
    best, leak = best_baseline(results["baselines"]), leak_of(results["baselines"])
    single, sources = metrics["single_view"], most_confused(metrics)
    title = f"One view ({wording.view_label(single['view'])})"
    matrices = [rendering.confusion_matrix(title, single, classes, sources)]
    if len(metrics["views"]) > 1:
        matrices.insert(0, rendering.confusion_matrix("The best vote", metrics, classes, sources))
    if best:
        title = f"Best baseline: {wording.baseline_label(best['name'], results['immunised'])}"
        matrices.append(rendering.confusion_matrix(title, best["metrics"], classes, sources))
    view_sets = {row["views"]: row["view_names"] for row in results["conditions"][0]["rows"]}
    chance, guess = wording.guess(metrics["confusion"])
    return {
        "main": results["main"],
        "metrics": metrics,
        "best": best,
        "leak": leak and leak_sentence(leak),
        "shown": sources,
        "few": what_is_shown(sources, classes, "ablation.json"),
        "chance": chance,
        "guess": guess,
        "findings": list(_findings(results)),
        "figure": Markup(figures.drawing(draw_ablation, results)),
        "matrices": matrices,
        "view_sets": view_sets,
        "width": 9.5 + 3.7 * len(view_sets),
        "samples": rendering.samples(results["samples"]),
        "wrong": [rendering.wrong_image(image) for image in results["wrong"]],
        "fingerprint_parts": rendering.fingerprints(results["fingerprints"]),
    }


def _findings(results: Mapping[str, Any]) -> Iterable[str]:
    """Yields the findings of every condition; those that weaken the main number come first."""
    number = sum(row["num_views"] > 1 for row in results["conditions"][0]["rows"])
    if number > 1:
        yield (
            f"The vote shown here is the best of {number} on these very images, so its number is a little too high: on "
            "other images expect less."
        )
    for condition in results["conditions"]:
        tested = [row for row in condition["rows"] if row["holm_p"] is not None]
        if tested:
            yield _verdict(condition, tested)


def _verdict(condition: Mapping[str, Any], tested: Sequence[Mapping[str, Any]]) -> str:
    """Counts the votes that are better or worse than the single view beyond chance."""
    single = condition["single_view"]["accuracy"]
    decided = [row for row in tested if row["holm_p"] < SIGNIFICANT]
    better = [row for row in decided if row["wrong_to_right"] > row["right_to_wrong"]]
    words = (
        f"On {wording.condition_label(condition['condition'])} images one view is right on {wording.percent(single)}. "
        f"Of {len(tested)} votes {len(better) or 'none'} {'is' if len(better) < 2 else 'are'} better than that beyond "
        f"chance, {len(decided) - len(better) or 'none'} worse (McNemar's test with Holm's correction)"
    )
    if not better:
        return words + "."
    first = max(better, key=lambda row: row["accuracy"])
    rule = wording.rule_label(first["rule"])
    return f"{words}; the best of these, {rule} of {first['views']}, reaches {wording.percent(first['accuracy'])}."
