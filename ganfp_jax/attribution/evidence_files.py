"""Pages of evidence in a folder: one an image, PDFs beside them, and a list of all."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ganfp_jax.attribution.attributor import Attributor
from ganfp_jax.attribution.evidence import Evidence
from ganfp_jax.attribution.map_files import numbered
from ganfp_jax.attribution.maps import SourceMap
from ganfp_jax.attribution.stability import Stability
from ganfp_jax.attribution.verdict import Attribution
from ganfp_jax.data.identified import Identified
from ganfp_jax.data.looks import Look
from ganfp_jax.report import pdf
from ganfp_jax.report.pages import write_page
from ganfp_jax.run import console
from ganfp_jax.run.errors import UserError

INDEX = "index.html"


class EvidenceFolder:
    """Writes the pages of one run."""

    def __init__(self, folder: Path, attributor: Attributor, settings: Mapping[str, Any], *, pdfs: bool) -> None:
        """Makes the folder, and changes nothing in it.

        Args:
            folder: where the pages will lie.
            attributor, settings: as for `evidence.Evidence`.
            pdfs: whether there shall be PDFs, where a Chromium is installed.

        Raises:
            UserError: the folder cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _cannot_hold_pages(folder, error) from error
        self.folder = folder
        self.evidence = Evidence(attributor, settings)
        self.chromium = pdf.browser() if pdfs else None

    def begin(self) -> None:
        """Removes the list of an earlier run, whose pages will be replaced.

        Raises:
            UserError: it cannot be removed.
        """
        try:
            (self.folder / INDEX).unlink(missing_ok=True)
        except OSError as error:
            raise _cannot_hold_pages(self.folder, error) from error

    def write(
        self,
        number: int,
        file: Identified,
        shown: Look,
        verdict: Attribution,
        found: SourceMap | None,
        stands: Stability | None = None,
    ) -> dict[str, str]:
        """Writes the page of an image and, where that is possible, its PDF.

        Args:
            number: of the image, from 1.
            file, shown, verdict, found, stands: as for `Evidence.of`.

        Returns:
            What the JSON lines say of it: `sha256` of the file, and the files `page` and `pdf` ("" for none).
        """
        path = self.folder / numbered(number, file.path, ".html")
        write_page("evidence", self.evidence.of(file, shown, verdict, found, stands), path)
        return {"sha256": file.sha256, "page": str(path), "pdf": self._printed(path)}

    def _printed(self, page: Path) -> str:
        """The PDF of a page; "" for none, and after a failure no other is tried, since each may take a minute."""
        if self.chromium is None:
            page.with_suffix(".pdf").unlink(missing_ok=True)  # of an earlier run
            return ""
        printed = pdf.print_page(self.chromium, page)
        if printed is None:
            console.note(f"no PDFs from here on: {self.chromium} could not print {page}; the pages are complete")
            self.chromium = None
            return self._printed(page)
        return str(printed)

    def write_index(
        self, lines: Path, verdicts: Mapping[str, int], refused: Sequence[tuple[str, str]], files: Sequence[str]
    ) -> Path:
        """Writes the list of all pages.

        Args:
            lines: the run's predictions.jsonl, which is read piece by piece.
            verdicts: verdict -> images.
            refused: (name, reason) of the files that could not be used.
            files: what the user named.
        """
        content = {
            **self.evidence.common(files),
            "title": "Evidence",
            "verdicts": verdicts,
            "pages": _pages(lines),
            "refused": refused,
        }
        return write_page("evidence_index", content, self.folder / INDEX)


def _cannot_hold_pages(folder: Path, error: OSError) -> UserError:
    return UserError(f"config.evidence: {folder} cannot be a folder of pages ({error.strerror}); give another")


def _pages(lines: Path) -> Iterator[dict[str, str]]:
    """Yields what the list says of each image."""
    with lines.open(encoding="utf-8") as file:
        for line in map(json.loads, file):
            about = {key: line[key] for key in ("verdict", "note", "sha256")}
            yield about | {"name": line["image"], **{key: Path(line[key]).name for key in ("page", "pdf")}}
