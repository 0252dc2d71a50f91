"""The page of an evaluation and of a study.

The main number always has the single view, guessing and the best cheap baseline on the same images beside it, and the
numbers choose the sentences under it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganfp_jax.report import open_set_page, rendering, wording
from ganfp_jax.report.few import most_confused, what_is_shown
from ganfp_jax.report.findings import SIGNIFICANT, baseline_finding, is_ahead
from ganfp_jax.report.leak import best_baseline, leak_of, leak_sentence
from ganfp_jax.report.table import conditions

OPTIONAL: dict[str, Any] = {
    "method": "", "steps": {}, "fingerprints": None, "file": "metrics.json", "warnings": (), "immunised": "",
    "unknown": None,
}  # fmt: skip


def values(results: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the template's values of `results.EvaluationPage`.

    Raises:
        ValueError: `main` names no evaluation.
    """
    results = {**OPTIONAL, **results}
    main = _main_evaluation(results)
    best = _best_baseline(results, main["condition"], main["count"])
    leak, sources = leak_of(results["baselines"]), most_confused(main["metrics"])
    chance, guess = wording.guess(main["metrics"]["confusion"])
    return {
        "results": results,
        "main": main,
        "best": best,
        "leak": leak and leak_sentence(leak),
        "shown": sources,
        "few": what_is_shown(sources, results["classes"], results["file"]),
        "chance": chance,
        "guess": guess,
        "method": _method(results),
        "findings": _findings(results, main, best),
        "groups": _groups(results),
        "matrices": _matrices(results, main, best, sources),
        "view_sets": {
            entry["views_name"]: entry["metrics"]["views"]
            for entry in results["evaluations"]
            if len(entry["metrics"]["views"]) > 1
        },
        "unknown": open_set_page.part(results["unknown"]),
        "samples": rendering.samples(results["samples"]),
        "wrong": [rendering.wrong_image(image) for image in results["wrong"]],
        "fingerprint_parts": rendering.fingerprints(results["fingerprints"]),
    }


def _identity(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the keys that identify an evaluation, as in `results["main"]`."""
    return {
        "network": entry["network"],
        "condition": entry["condition"],
        "views": entry["views_name"],
        "rule": entry["metrics"]["rule"],
        "count": entry["count"],
    }


def _main_evaluation(results: Mapping[str, Any]) -> Mapping[str, Any]:
    for entry in results["evaluations"]:
        if _identity(entry) == results["main"]:
            return entry
    raise ValueError(f"report: no evaluation is the main one, {results['main']}")


def _best_baseline(results: Mapping[str, Any], condition: str, count: int | None) -> Mapping[str, Any] | None:
    same_images = [
        entry for entry in results["baselines"] if (entry["condition"], entry["count"]) == (condition, count)
    ]
    return best_baseline(same_images)


def _groups(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Groups the evaluations and baselines of the same test images."""
    return [
        {
            "condition": condition,
            "count": count,
            **{
                kind: [entry for entry in results[kind] if (entry["condition"], entry["count"]) == (condition, count)]
                for kind in ("evaluations", "baselines")
            },
        }
        for condition, count in conditions(results)
    ]


def _method(results: Mapping[str, Any]) -> str:
    """Describes the method in one paragraph."""
    train, test = (results["photographs"][split] for split in ("train", "test"))
    sentences = []
    if train and test:
        others = "other " if set(train).isdisjoint(test) else ""
        sentences.append(
            f"Real training images are crops of {_count(train, 'photograph')} ({wording.listed(train)}); real test "
            f"images are crops of {_count(test, others + 'photograph')} ({wording.listed(test)})."
        )
    learned = results["counts"]["train"]
    saw = f"The classifiers saw {_image_counts(learned)} to learn from and were tested on " if learned else "Tested on "
    sentences.append(f"{saw}{_image_counts(results['counts']['test'])}.")
    if results["method"]:
        sentences.append(results["method"])
    if results["steps"]:
        steps = [f"{network} {count:,}" for network, count in results["steps"].items()]
        sentences.append(f"Training steps: {wording.listed(steps)}.")
    if results["stages"]:
        seconds = sum(stage["seconds"] for stage in results["stages"])
        sentences.append(f"All of it took {wording.duration(seconds)} on {results['devices']}.")
    return " ".join(sentences)


def _image_counts(counts: Mapping[str, int]) -> str:
    if len(set(counts.values())) == 1:
        return f"{next(iter(counts.values())):,} images of each source"
    return wording.listed([f"{count:,} of {name}" for name, count in counts.items()]) or "no image"


def _count(items: Sequence[object], noun: str) -> str:
    return f"{len(items)} {noun}{'s' * (len(items) != 1)}"


def _findings(results: Mapping[str, Any], main: Mapping[str, Any], best: Mapping[str, Any] | None) -> Iterable[str]:
    """Yields the findings in sentences; those that weaken the main number come first."""
    yield from results["warnings"]
    metrics = main["metrics"]
    chance, guess = wording.guess(metrics["confusion"])
    if metrics["ci95"][0] <= chance:
        yield f"Within its interval the network is no better than {guess}."
    sentence = baseline_finding(metrics, best, results["immunised"])
    if best and not is_ahead(metrics, best) and best["metrics"]["ci95"][0] > chance:
        sentence += (
            " These sources can be told apart without a deep network, so the network's percentage is no achievement in "
            "itself."
        )
    yield sentence
    if len(metrics["views"]) > 1:
        yield _vote_finding("this network", metrics)
    for entry in results["evaluations"]:
        differs = dict(_identity(entry).items() - _identity(main).items()).keys()
        if differs == {"network"} and len(metrics["views"]) > 1:
            yield _vote_finding(f"the {entry['network']} network", entry["metrics"])
        elif differs == {"condition"}:
            yield _condition_finding(entry, _best_baseline(results, entry["condition"], entry["count"]))


def _vote_finding(who: str, metrics: Mapping[str, Any]) -> str:
    changes, single = metrics["vote_changes"], metrics["single_view"]
    repaired, broken, p = (changes[key] for key in ("wrong_to_right", "right_to_wrong", "mcnemar_p"))
    if repaired == broken == 0:
        return (
            f"For {who}, voting over {len(metrics['views'])} views made no right answer wrong and no wrong one right."
        )
    effect = "helps" if repaired > broken else "hurts"
    if p >= SIGNIFICANT:
        effect = "makes no difference beyond chance for"
    return (
        f"Voting over {len(metrics['views'])} views {effect} {who}: "
        f"{wording.percent(single['accuracy'])} with one view, {wording.percent(metrics['accuracy'])} with the vote; "
        f"{repaired:,} repaired, {broken:,} broken (exact McNemar test, p {_equals(p)})."
    )


def _equals(p: float | int) -> str:
    text = wording.p_value(p)
    return text if text.startswith("<") else f"= {text}"


def _condition_finding(entry: Mapping[str, Any], cheap: Mapping[str, Any] | None) -> str:
    metrics = entry["metrics"]
    beside = f"; the best baseline reaches {wording.percent(cheap['metrics']['accuracy'])}" if cheap else ""
    return (
        f"Under {wording.condition_label(entry['condition'])} the same network and vote reach "
        f"{wording.percent(metrics['accuracy'])} ({wording.percent(metrics['single_view']['accuracy'])} with one "
        f"view){beside}."
    )


def _matrices(
    results: Mapping[str, Any], main: Mapping[str, Any], best: Mapping[str, Any] | None, sources: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Returns the confusion matrices to show at once, and all others."""

    def confusion_matrix(title: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return rendering.confusion_matrix(title, metrics, results["classes"], sources)

    first = [confusion_matrix("The network with the vote", main["metrics"])]
    if len(main["metrics"]["views"]) > 1:
        first.append(confusion_matrix("The network with one view", main["metrics"]["single_view"]))
    else:
        first[0]["title"] = "The network"
    if best is not None:
        title = f"Best baseline: {wording.baseline_label(best['name'], results['immunised'])}"
        first.append(confusion_matrix(title, best["metrics"]))
    others = []
    for group in _groups(results):
        condition = wording.condition_label(group["condition"])
        for entry in group["evaluations"]:
            if entry is not main:
                rule = wording.rule_label(entry["metrics"]["rule"])
                title = f"{entry['network']} network, {condition}, {entry['views_name']} views, {rule}"
                others.append(confusion_matrix(title, entry["metrics"]))
        for entry in group["baselines"]:
            if entry is not best:
                title = f"{wording.baseline_label(entry['name'], results['immunised'])}, {condition}"
                others.append(confusion_matrix(title, entry["metrics"]))
    return {"shown": first, "others": others}
