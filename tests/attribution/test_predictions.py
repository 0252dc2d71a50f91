"""Rows of predictions: what is written is read back, that of earlier versions too."""

import csv
import dataclasses
import json

from ganfp_jax.attribution import predictions
from ganfp_jax.attribution.verdict import Attribution

CLASSES = ("real", "SNGAN")
VERDICT = Attribution(
    predicted="SNGAN",
    confidence=0.75,
    votes={"SNGAN": 2},
    probabilities={"real": 0.25, "SNGAN": 0.75},
    note="cropped from 40x17",
    verdict="unsure",
    margin=0.5,
    distance=0.125,
    views={"identity": "SNGAN", "mirror": "SNGAN"},
)


def test_row_has_the_columns_of_the_header_and_the_numbers_of_the_record():
    line = dict(zip(predictions.header(CLASSES), predictions.row("=a.png", VERDICT, "real"), strict=True))
    record = predictions.record("=a.png", VERDICT)
    assert list(line)[:5] == ["image", "target", "predicted", "confidence", "votes"]
    assert (line["image"], record["image"]) == ("'=a.png", "=a.png")
    assert (line["target"], line["verdict"], line["votes"]) == ("real", "unsure", '{"SNGAN": 2}')
    for key in ("confidence", "margin", "distance"):
        assert float(line[key]) == record[key]
    assert {name: float(line[name]) for name in CLASSES} == record["probabilities"]


def test_typicality_and_sources_stand_before_the_tiles_and_are_empty_without():
    typical = dataclasses.replace(VERDICT, typicality=0.25, sources=("SNGAN", "real"))
    assert predictions.header(CLASSES)[-3:] == ["typicality", "sources", "tiles"]
    assert predictions.row("a.png", typical)[-3:] == ["0.250000", '["SNGAN", "real"]', "1"]
    assert predictions.row("a.png", dataclasses.replace(typical, sources=()))[-3:] == ["0.250000", "[]", "1"]
    assert predictions.row("a.png", VERDICT)[-3:] == ["", "", "1"]
    found, without = predictions.record("a.png", typical), predictions.record("a.png", VERDICT)
    assert (found["typicality"], found["sources"]) == (0.25, ["SNGAN", "real"])
    assert (without["typicality"], without["sources"]) == (None, [])


def test_claims_stand_last_with_the_disagreement_behind_them():
    claims = ("text 'prompt': ComfyUI", "C2PA manifest: by Ä, intact")
    claiming = dataclasses.replace(VERDICT, claims=claims, disagreement="The file says otherwise.")
    assert predictions.header_of_files(CLASSES) == [*predictions.header(CLASSES), "claims"]
    line = predictions.row_of_file("a.png", claiming)
    assert line[:-1] == predictions.row("a.png", VERDICT)
    assert json.loads(line[-1]) == [*claims, "The file says otherwise."] and "Ä" in line[-1]
    assert predictions.row_of_file("a.png", VERDICT)[-1] == ""
    found = predictions.record("a.png", claiming)
    assert (found["claims"], found["disagreement"]) == (list(claims), "The file says otherwise.")


def test_read_gives_names_and_indices_of_this_version_and_an_earlier_one(tmp_path):
    rows = [predictions.header(CLASSES), predictions.row("=a\nb.png", VERDICT, "real")]
    for columns in (len(rows[0]), 5 + len(CLASSES)):  # earlier ones end with the probabilities
        (tmp_path / "p.csv").write_text(predictions.csv_text(row[:columns] for row in rows), newline="")
        found = predictions.read(tmp_path / "p.csv", CLASSES)
        with (tmp_path / "p.csv").open(newline="") as file:
            assert len(list(csv.reader(file))) == 2
        assert (len(found.names), found.targets.tolist(), found.predicted.tolist()) == (1, [0], [1])
        assert found.names[0].startswith("=a")
