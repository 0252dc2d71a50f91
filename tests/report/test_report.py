import copy
import json
from functools import partial

import numpy as np
import pytest
from html_page import Page
from page_results import VIEWS, baseline, evaluation, full_results, minimal_results, shown_results

from ganfp_jax.report import pages, wording
from ganfp_jax.report.table import ImageRow, per_image_table, summary_table, text_table
from ganfp_jax.run.errors import UserError

render = partial(pages.render, "evaluation")

SECTIONS = (
    "headline", "method", "evaluations", "baselines", "breakdown", "confusion", "unknown", "samples", "wrong",
    "fingerprints", "stages", "reproduce",
)  # fmt: skip


@pytest.fixture
def minimal() -> dict:
    return minimal_results()


@pytest.fixture
def full(tmp_path) -> dict:
    return full_results(tmp_path)


@pytest.mark.parametrize("results", ["minimal", "full"])
def test_every_section_is_there_and_well_formed(results, request):
    page = Page(render(request.getfixturevalue(results)))
    assert page.open == []
    assert [attrs["id"] for tag, attrs in page.tags if tag in {"header", "section"}] == list(SECTIONS)
    ids = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert all(link["href"].removeprefix("#") in ids for link in page.all("a"))
    assert "None" not in page.text


def test_page_needs_no_network_and_no_script(full):
    html = render(full)
    page = Page(html)
    assert "http:" not in html
    assert "https:" not in html
    assert "@import" not in html
    assert "url(" not in html
    assert page.all("script") == []
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    assert all(attrs["src"].startswith("data:image/png;base64,") for attrs in page.all("img"))
    assert [attrs["href"] for attrs in page.all("link")] == ["data:,"]
    assert len(page.all("img")) == 5
    assert "default-src 'none'" in html


def test_page_follows_the_reader(full):
    html = render(full)
    assert '<meta name="viewport"' in html
    for rule in ("prefers-color-scheme: dark", "max-width: 44rem", "@media print"):
        assert rule in html
    assert all(attrs["alt"] for attrs in Page(html).all("img"))


def test_headline_stands_beside_single_view_baseline_and_guessing(full):
    text = Page(render(full)).text
    assert "90.0% right with the vote d4 network, 4 views, majority; 95% interval 88.0–92.0" in text
    assert "80.0% right with one view same network, identity; 95% interval 78.0–82.0" in text
    assert "98.0% right with the best baseline logistic regression on log-DCT; 95% interval 96.0–100.0" in text
    assert "300 clean test images of 3 sources (real, ProGAN and SNGAN)" in text
    assert "Guessing gives 33.3%" in text


@pytest.mark.parametrize(
    ("right", "said"),
    [
        (
            98,
            "is better on the same test images (98.0%). These sources can be told apart without a deep network",
        ),
        (89, "does as well, within the intervals, on the same test images (89.0%)"),
        (70, "reaches 70.0% on the same test images: 20.0 points less than the network"),
    ],
)
def test_what_is_said_of_the_baseline_depends_on_it(minimal, right, said):
    minimal["baselines"] = [baseline(minimal["classes"], right), baseline(minimal["classes"], 60, "logistic_pixels")]
    assert said in Page(render(minimal)).text


def test_network_that_learnt_nothing(minimal):
    said = "Within its interval the network is no better than guessing."
    assert said not in Page(render(minimal)).text
    minimal["evaluations"] = [evaluation(minimal["classes"], right=51)]
    assert said in Page(render(minimal)).text


def test_guessing_among_unequal_sources_names_the_commonest(minimal):
    metrics = minimal["evaluations"][0]["metrics"]
    metrics |= {"confusion": [[75, 0], [24, 1]], "accuracy": 0.76, "correct": 76, "total": 100, "ci95": [0.7, 0.8]}
    text = Page(render(minimal)).text
    assert "Always naming the commonest source gives 75.0%." in text
    assert "the network is no better than always naming the commonest source." in text


def test_baseline_at_chance_tells_nothing_apart(minimal):
    minimal["evaluations"] = [evaluation(minimal["classes"], right=51)]
    minimal["baselines"] = [baseline(minimal["classes"], 51)]
    text = Page(render(minimal)).text
    assert "does at least as well, within the intervals, on the same test images (51.0%)." in text
    assert "can be told apart" not in text


def test_all_right_with_the_vote_that_repaired_some(full):
    metrics = full["evaluations"][0]["metrics"]
    metrics |= {"correct": metrics["total"], "accuracy": 1.0}
    full["wrong"] = full["wrong"][1:]
    text = Page(render(full)).text
    assert "With the vote all 300 test images were called right; some that it repaired are shown." in text
    assert "called 0 of" not in text


def test_a_name_that_is_no_utf8_can_be_written(minimal, tmp_path):
    minimal["method"] = "Images of /data/\udcff and \ud800."
    path = pages.write_page("evaluation", minimal, tmp_path / "index.html")
    assert r"/data/\udcff and \ud800." in path.read_text(encoding="utf-8")


def test_baselines_on_other_images_are_no_yardstick(minimal):
    minimal["baselines"] = [baseline(minimal["classes"], 99, condition="jpeg75")]
    text = Page(render(minimal)).text
    assert "No baseline was run on these images" in text
    assert "right with the best baseline" not in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ((12, 2, 0.013), "Voting over 4 views helps this network: 80.0% with one view, 90.0% with the vote; "
                         "12 repaired, 2 broken (exact McNemar test, p = 0.013)"),
        ((2, 112, 1e-30), "Voting over 4 views hurts this network"),
        ((9, 5, 0.42), "Voting over 4 views makes no difference beyond chance for this network"),
        ((0, 0, 1.0), "made no right answer wrong and no wrong one right"),
    ],
)  # fmt: skip
def test_what_is_said_of_the_vote_depends_on_it(minimal, changes, said):
    minimal["evaluations"] = [evaluation(minimal["classes"], changes=changes)]
    assert said in Page(render(minimal)).text


def test_findings_name_the_other_network_and_the_other_condition(full):
    text = Page(render(full)).text
    assert "Voting over 4 views hurts the mirror network: 95.0% with one view, 60.0% with the vote" in text
    assert "Under JPEG quality 75 the same network and vote reach 50.0% (49.0% with one view); the best" in text


def test_without_a_vote_there_is_no_talk_of_one(minimal):
    minimal["main"]["views"] = "identity"
    minimal["evaluations"] = [evaluation(minimal["classes"], views=VIEWS[:1], right=80, changes=(0, 0, 1.0))]
    text = Page(render(minimal)).text
    assert "80.0% right with one view" in text
    assert "right with the vote" not in text
    assert "Voting over" not in text


def test_what_was_done(full):
    text = Page(render(full)).text
    assert "crops of 2 photographs (astronaut and china); real test images are crops of 2 other photographs" in text
    assert "saw 1,500 images of each source to learn from and were tested on 100 images of each source" in text
    assert "Crops are reduced to half size first. Training steps: ProGAN 850. All of it took 1 min 24 s on cpu." in text
    full["photographs"]["test"].append("china")
    full["counts"]["test"]["real"] = 50
    text = Page(render(full)).text
    assert "crops of 3 photographs (chelsea, flower and china)" in text
    assert "tested on 50 of real, 100 of ProGAN and 100 of SNGAN" in text


def test_confusion_matrices_hold_every_count(full):
    page = Page(render(full))
    titles = [attrs["title"] for attrs in page.all("td") if "were called" in attrs.get("title", "")]
    matrices = 3 + 3 + 2  # vote, one view and best baseline at once; three other evaluations, two other baselines
    assert len(titles) == matrices * 9
    assert titles[:3] == [
        "90 of 100 real images were called real (90.0%)",
        "10 of 100 real images were called ProGAN (10.0%)",
        "0 of 100 real images were called SNGAN (0.0%)",
    ]


@pytest.mark.parametrize("number", [2, 11, 30])
def test_any_number_of_classes(minimal, number):
    classes = [f"ProGAN_seed_v{index}" for index in range(number)]
    minimal |= {"classes": classes, "evaluations": [evaluation(classes)], "baselines": [baseline(classes, 50)]}
    page = Page(render(minimal))
    assert sum("were called" in attrs.get("title", "") for attrs in page.all("td")) == 3 * number**2


def test_class_without_a_test_image(minimal):
    nothing = {"accuracy": None, "correct": 0, "total": 0, "ci95": [0.0, 1.0]}
    metrics = minimal["evaluations"][0]["metrics"]
    for part in (metrics, metrics["single_view"]):
        part["per_class"]["ProGAN"] = nothing
        part["confusion"][1] = [0, 0]
    assert "ProGAN – – 0.0–100.0 0" in Page(render(minimal)).text


def test_wrong_and_repaired_images(full):
    page = Page(render(full))
    assert "called 30 of 300 test images wrong with the vote; 1 of them are shown, then some that the vote" in page.text
    assert "real called SNGAN SNGAN 3, real 1 confidence 71.0%; right with one view real/chelsea_00001.png" in page.text
    assert "real repaired real 3, ProGAN 1 confidence 71.0%; one view says ProGAN" in page.text


def test_every_view_stands_with_what_it_said(full, tmp_path):
    shown = shown_results(tmp_path)
    page = Page(render(shown))
    assert "real SNGAN turned 90°" not in page.text
    assert "real identity SNGAN turned 90° SNGAN turned 180° SNGAN turned 270°" in page.text
    assert "ProGAN identity real turned 90° real turned 180° not shown turned 270°" in page.text
    kinds = [attrs.get("class") for attrs in page.all("li") if attrs.get("class")]
    assert kinds == ["hit", "miss", "miss", "miss", "miss", "hit", "hit", "unseen"]
    assert "Before the vote, identity decided alone" in page.text
    assert len(page.all("ul")) == len(Page(render(full)).all("ul")) + 2


def test_fingerprints_responses_and_map(tmp_path):
    shown = shown_results(tmp_path)
    page = Page(render(shown))
    without = Page(render(shown | {"fingerprints": None}))
    assert "No fingerprint was taken." in without.text
    assert len(page.all("img")) - len(without.all("img")) == 3 + 3 * (2 + 3)  # models; images by themselves and sources
    assert [len(found.all("svg")) for found in (page, without)] == [1, 0]
    assert "t-SNE of 18 image fingerprints, coloured by their true source; the 2 that the network took" in page.text
    few = shown | {"fingerprints": shown["fingerprints"] | {"embedding": None}}
    assert "There are too few images for a map." in Page(render(few)).text


def test_fingerprints_keep_the_order_of_their_network(tmp_path):
    shown = shown_results(tmp_path)
    shown["fingerprints"]["classes"] = ["SNGAN", "real", "ProGAN"]
    page = Page(render(shown))
    models = [attrs["alt"] for attrs in page.all("img") if attrs["alt"].startswith("Model")]
    assert models == [f"Model fingerprint of {name}" for name in ("SNGAN", "real", "ProGAN")]


def test_no_image_was_wrong(minimal):
    minimal["evaluations"] = [evaluation(minimal["classes"], right=100)]
    assert "all 200 test images were called right" in Page(render(minimal)).text


def test_report_escapes_everything(full):
    attack = "<script>alert('x')</script>&\"'"
    full["title"] = full["command"] = full["devices"] = full["method"] = attack
    full["config"] = {attack: [attack]}
    full["versions"] = {attack: attack}
    full["samples"]["real"]["caption"] = attack
    full["wrong"][0] |= {"name": attack, "target": attack, "voted": attack, "single": attack, "votes": {attack: 4}}
    full["stages"][0]["name"] = attack
    full["photographs"]["train"] = [attack]
    page = Page(render(full))
    assert page.all("script") == []
    assert page.open == []
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    assert page.text.count(attack) >= 10


def test_results_may_come_from_json(full):
    assert render(json.loads(json.dumps(full))) == render(full)


def test_results_are_left_as_they_were(full):
    before = copy.deepcopy(full)
    render(full)
    assert full == before


def test_report_is_written(full, tmp_path):
    path = tmp_path / "report" / "index.html"
    assert pages.write_page("evaluation", full, path) == path
    pages.write_page("evaluation", full, str(path))
    assert path.read_text(encoding="utf-8") == render(full)
    assert [file.name for file in path.parent.iterdir()] == ["index.html"]


def test_report_without_keys(minimal):
    del minimal["classes"], minimal["stages"]
    with pytest.raises(ValueError, match="results without classes, stages"):
        render(minimal)


def test_no_evaluation_is_the_main_one(minimal):
    minimal["main"]["views"] = "d4"
    with pytest.raises(ValueError, match="no evaluation is the main one"):
        render(minimal)


def test_pictures_that_cannot_be_shown(minimal, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"\xff\xd8\xff")
    for name, said in (("photo.png", "not a PNG file"), ("absent.png", "cannot read the picture")):
        minimal["samples"] = {"real": {"picture": str(tmp_path / name), "caption": ""}}
        with pytest.raises(UserError, match=said):
            render(minimal)


# tables for the console


def test_text_table_is_aligned():
    table = text_table(["name", "n"], [["a", 1], ["long name", 1000]], align="<>")
    assert table.splitlines() == ["name          n", "---------  ----", "a             1", "long name  1000"]


def test_text_table_counts_columns_not_characters():
    lines = text_table(["image", "n"], [["写真", 1], ["e\u0301", 2], ["line\nbreak", 3]]).splitlines()
    assert lines[2:] == ["写真         1", "e\u0301            2", "line\\nbreak  3"]


def test_text_table_without_rows():
    assert text_table(["image", "n"], []).splitlines() == ["image  n", "-----  -"]


def test_text_table_refuses_a_short_row():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        text_table(["image", "n"], [["a"]])


def test_per_image_table():
    rows = [
        ImageRow("SNGAN/1.png", "SNGAN", "SNGAN", {"real": 1, "SNGAN": 3}),
        ImageRow("real/1.png", "real", "SNGAN", {"SNGAN": 4, "real": 0}),
        ImageRow("holiday.png", "", "real", {"real": 4}),
    ]
    assert per_image_table(iter(rows)).splitlines() == [
        "image        target  best class  class counts",
        "-----------  ------  ----------  ---------------  -----",
        "SNGAN/1.png  SNGAN   SNGAN       SNGAN 3, real 1",
        "real/1.png   real    SNGAN       SNGAN 4          wrong",
        "holiday.png  -       real        real 4",
        "",
        "1 of 2 right (50.0%)",
    ]


def test_per_image_table_without_targets():
    assert "right" not in per_image_table([ImageRow("a.png", "", "real", {"real": 4})])


def test_summary_table(full):
    lines = summary_table(full).splitlines()
    assert lines[0].split("  ")[0] == "images"
    assert [line.split()[0] for line in lines[2:]] == ["clean"] * 5 + ["jpeg75"] * 2
    assert lines[2].split() == ["clean", "network", "d4", "turns,", "majority", "300", "80.0%", "90.0%", "88.0–92.0",
                                "+12", "-2"]  # fmt: skip
    assert "logistic regression on log-DCT" in lines[5]


# wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "100.0%"),
        (0, "0.0%"),
        (0.9996, ">99.9%"),
        (0.0001, "<0.1%"),
        (0.9994, "99.9%"),
        (0.0006, "0.1%"),
        (0.9612, "96.1%"),
        (1 / 3, "33.3%"),
        (None, "–"),
    ],
)
def test_only_all_is_100_percent(value, text):
    assert wording.percent(value) == text


@pytest.mark.parametrize(
    ("shares", "texts"),
    [
        ([0.9986, *[0.00035] * 4], "99.9% 0.1% <0.1% <0.1% <0.1%"),  # one by one: 99.9% and four of 0.1%
        ([0.9996, 0.0004, 0], ">99.9% <0.1% 0.0%"),
        ([1 / 3] * 3, "33.4% 33.3% 33.3%"),
        ([0.3335, 0.3335, 0.333], "33.4% 33.3% 33.3%"),
        ([0.1] * 10, " ".join(["10.0%"] * 10)),
        ([1, 0], "100.0% 0.0%"),
        ([0.25, 0.75], "25.0% 75.0%"),
        ([], ""),
    ],
)
def test_shares_of_a_whole_add_up_to_it(shares, texts):
    assert wording.percents(shares) == texts.split()


@pytest.mark.parametrize("count", [2, 5, 100, 1000])
def test_any_shares_of_a_whole_add_up_to_it(count):
    shares = np.random.default_rng(count).dirichlet([0.1] * count).astype(np.float32)
    said = wording.percents(shares.tolist())
    numbers = [float(text.strip("%")) for text in said if text[0] not in "<>"]
    assert sum(numbers) == pytest.approx(100) or ">99.9%" in said
    assert all(
        abs(100 * share - float(text.strip("%<>"))) < 0.1 + 1e-6 for share, text in zip(shares, said, strict=True)
    )


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (wording.p_value, 1e-9, "< 0.001"),
        (wording.p_value, 0.0321, "0.032"),
        (wording.p_value, 1 + 1e-9, "1.000"),
        (wording.duration, 8.24, "8.2 s"),
        (wording.duration, 59.96, "1 min 0 s"),
        (wording.duration, 207.6, "3 min 28 s"),
        (wording.duration, 7265, "2 h 1 min"),
        (wording.interval, [0.95, 0.971], "95.0–97.1"),
        (wording.votes, {"real": 1, "SNGAN": 3, "ProGAN": 0}, "SNGAN 3, real 1"),
        (wording.listed, [], ""),
        (wording.listed, ["a"], "a"),
        (wording.listed, ["a", "b", "c"], "a, b and c"),
        (wording.baseline_label, "knn_pixels", "knn pixels"),
        (wording.baseline_label, "knn_pixels_immunised", "knn pixels, immunised"),
        (wording.condition_label, "noise15", "noise σ 15"),
        (wording.condition_label, "blur0.7", "blur σ 0.7"),
        (wording.condition_label, "kernel9", "blur kernel 9"),
        (wording.condition_label, "crop5-20", "crop 5–20%"),
        (wording.condition_label, "relight0.5", "relighting 0.5 EV"),
        (wording.condition_label, "clean", "clean"),
        (wording.rule_label, "mean_logit", "mean logit"),
    ],
)
def test_wording(function, value, text):
    assert function(value) == text
