"""The page of evidence on one image: what was seen, said and promised, what cannot be known, and how to repeat it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from ganfp_jax.attribution import promises, sentences, stability
from ganfp_jax.attribution.attributor import MANY, Attributor
from ganfp_jax.attribution.certainty import Calibration
from ganfp_jax.attribution.limits import cannot_know
from ganfp_jax.attribution.map_files import mapped
from ganfp_jax.attribution.maps import SourceMap, map_sources
from ganfp_jax.attribution.sentences import plain, sentence
from ganfp_jax.attribution.stability import Stability
from ganfp_jax.attribution.verdict import NOTHING, UNKNOWN, UNSURE, Attribution, Refusal, RefusedImagesError, doubt
from ganfp_jax.data.decode import Refused, decoded
from ganfp_jax.data.identified import Identified
from ganfp_jax.data.listing import printable
from ganfp_jax.data.looks import Look, look
from ganfp_jax.data.tiles import Tiling
from ganfp_jax.data.views import resolve_views
from ganfp_jax.report.evidence_page import Stands
from ganfp_jax.report.pages import render
from ganfp_jax.run.command import command
from ganfp_jax.run.provenance import provenance

TITLE = "Which generator made this image?"
PACKAGES = ("ganfp_jax", "jax", "flax", "numpy", "pillow")


def page(
    attributor: Attributor,
    image: str | os.PathLike[str],
    views: str | Sequence[str],
    rule: str,
    resize: str,
    tiling: Tiling,
    processed: bool,
) -> str:
    """See `Attributor.evidence`."""
    file, forms = Identified(image), dict[str, Look]()
    try:
        with decoded(file) as picture:
            shown = with_page(look(picture, attributor.resolution, resize, tiling))
            if processed:
                forms = stability.forms(picture, attributor.resolution, resize, tiling)
    except Refused as error:
        raise RefusedImagesError([Refusal(printable(file.name), str(error))]) from error
    views = views or attributor.default_views
    (verdict,) = attributor.judge([shown], views, rule)
    found = None if shown.sweep is None else map_sources(attributor, shown.sweep, views, rule, MANY)
    stands = stability.judged(attributor, forms, views, rule) if processed else None
    settings = {
        "checkpoint": attributor.name,
        "views": views,
        "rule": rule,
        "resize": resize,
        "tiles": tiling.tiles,
        "map_windows": tiling.windows,
        "min_luma_std": tiling.min_luma_std,
        "column": "",
        "evidence": "evidence",
        "stability": processed,
    }
    return render("evidence", Evidence(attributor, settings).of(file, shown, verdict, found, stands))


def with_page(shown: Look) -> Look:
    """The same without the windows of a map that the page would not have: that of a single part would be one cell."""
    return shown if shown.counted > 1 else shown._replace(sweep=None)


class Evidence:
    """What the pages of one network's verdicts have in common, and the content of each of them."""

    def __init__(self, attributor: Attributor, settings: Mapping[str, Any]) -> None:
        """Prepares what all pages say.

        Args:
            attributor: the network.
            settings: keys of configs/attribute.py, with which the command repeats a verdict; "views" and "rule" are
                those of the vote.
        """
        self.attributor = attributor
        self.settings = settings
        self.calibration = attributor.calibration_for(settings["views"], settings["rule"])
        self.limits = cannot_know(attributor.classes, self.calibration)
        self.network = _network_facts(attributor, settings)
        self.calibrated = _calibration_facts(self.calibration)

    def of(
        self,
        file: Identified,
        shown: Look,
        verdict: Attribution,
        found: SourceMap | None,
        stands: Stability | None = None,
    ) -> dict[str, Any]:
        """The content of a page (`report.evidence_page.EvidencePage`).

        Args:
            file: the image, which was read.
            shown: what the network was shown of it, with the whole.
            verdict: on it.
            found: the map of the picture; None without.
            stands: how the verdict stands up to processing; None where that was not asked for or cannot be told.
        """
        whole = shown.whole
        assert whole is not None  # a map was asked for
        calibration = self.calibration
        return {
            **self.common([file.asked]),
            "name": printable(file.path),
            "verdict": verdict.verdict,
            "sentence": plain(verdict, self.attributor.classes),
            "promise": _promise(verdict, calibration),
            "note": _what_was_seen(verdict),
            "claims": verdict.claims,
            "disagreement": verdict.disagreement,
            "numbers": sentence(verdict),
            "picture": whole.thumbnail,
            "size": whole.size,
            "boxes": whole.boxes,
            "tiles": verdict.tiles if self.settings["resize"] == "crop" else 0,
            "map": None if found is None else mapped(found, whole.thumbnail),
            "stability": None if stands is None else _stands(stands, whole.size),
            "views": verdict.views if verdict.tiles else {},
            "sources": _said(verdict),
            "unknown_rate": calibration.typical.unknown_rate if calibration and calibration.typical else None,
            "promises": _promises(verdict, calibration),
            "measured": _measured(self.attributor.classes, calibration),
            "limits": self.limits,
            "record": {
                "The file": _file_facts(file, whole.size, verdict),
                "The network": self.network,
                "The calibration": self.calibrated,
            },
        }

    def common(self, files: Sequence[str]) -> dict[str, Any]:
        """What every page says of itself (`report.results.Page`)."""
        return {
            "title": TITLE,
            "command": command("attribute", self.settings, files=files),
            "config": dict(self.settings),
            "classes": self.attributor.classes,
            **provenance(PACKAGES),
        }


def _what_was_seen(verdict: Attribution) -> str:
    """The note of a verdict without the doubt that it begins with, which `numbers` says in a sentence."""
    why = doubt(verdict.verdict, verdict.predicted, verdict.sources)
    return verdict.note.removeprefix(why).removeprefix("; ")


def _promise(verdict: Attribution, calibration: Calibration | None) -> str:
    """What the verdict promises, in one sentence."""
    if calibration is None:
        return "How often such verdicts are wrong was not measured: the network is not calibrated for this vote."
    if verdict.verdict in (NOTHING, UNKNOWN, UNSURE):
        return "This is no verdict on a source, and promises nothing about the image."
    return f"{promises.error_rate(calibration, 'such verdicts')} {promises.basis(calibration)}"


def _promises(verdict: Attribution, calibration: Calibration | None) -> list[str]:
    """All that is promised, in sentences."""
    if calibration is None:
        return [_promise(verdict, calibration)]
    learned = calibration.typicality
    typical = [] if learned is None else [promises.too_few(learned) if learned.too_few else promises.promised(learned)]
    said = [
        promises.error_rate(calibration, "the verdicts that name a source"),
        promises.measured(calibration),
        f"{UNSURE}: {calibration.where_unsure}.",
        *typical,
    ]
    return [text[:1].upper() + text[1:] for text in said]


def _said(verdict: Attribution) -> list[dict[str, Any]]:
    """What speaks for each source (`report.evidence_page.SourceSaid`)."""
    return [
        {
            "name": name,
            "votes": verdict.votes.get(name, 0),
            "probability": probability,
            "p_value": verdict.p_values.get(name),
        }
        for name, probability in verdict.probabilities.items()
    ]


def _stands(found: Stability, size: tuple[int, int]) -> Stands:
    """What the page says of the stability of a verdict on a picture of this height and width."""
    curves = found.curves
    return {
        "sentences": [*sentences.stability(found), *sentences.middle(found, size)],
        "source": found.source,
        "own": found.own.share,
        "strengths": {family: [stability.strength(rung.processing) for rung in of] for family, of in curves.items()},
        "shares": {family: [rung.share for rung in of] for family, of in curves.items()},
        "same": {family: [rung.verdict == found.own.verdict for rung in of] for family, of in curves.items()},
    }


def _measured(classes: Sequence[str], calibration: Calibration | None) -> list[dict[str, Any]]:
    """What the calibration found on images of each source (`report.evidence_page.Measured`)."""
    if calibration is None:
        return []
    known = () if calibration.typicality is None else calibration.typicality.known
    photographs = {of.source: of.photographs for of in known}
    counts = calibration.per_class
    return [{"name": name, "photographs": photographs.get(name), **counts[name]} for name in classes if name in counts]


def _file_facts(file: Identified, size: tuple[int, int], verdict: Attribution) -> dict[str, str]:
    voted = "" if verdict.verdict in (NOTHING, verdict.predicted) else f" (voted: {verdict.predicted})"
    return {
        "Name": printable(file.path),
        "SHA-256": file.sha256,
        "Size": f"{file.num_bytes:,} bytes, {size[1]}x{size[0]} pixels",
        "Format": file.format,
        **({"Last changed": f"{file.changed}, by its file system"} if file.changed else {}),
        "In tables": f"{verdict.verdict}{voted}",
    }


def _network_facts(attributor: Attributor, settings: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Checkpoint": printable(str(settings["checkpoint"])),
        "SHA-256 of its weights": attributor.digest,
        "Knows": ", ".join(attributor.classes),
        "Looks at": f"{attributor.resolution}x{attributor.resolution} pixels at a time",
        "Vote": f"{settings['rule']} of {', '.join(resolve_views(settings['views']))}",
    }


def _calibration_facts(calibration: Calibration | None) -> dict[str, str]:
    if calibration is None:
        return {"Calibration": "none for this vote"}
    images = {"SHA-256 of its images": calibration.images_digest} if calibration.images_digest else {}
    return {"SHA-256": calibration.sha256, **images, "Images": f"{calibration.images:,}"}
