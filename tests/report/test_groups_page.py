"""The page and the words of `group`."""

import numpy as np
from html_page import Page
from page_results import groups_results

from ganfp_jax.report import pages
from ganfp_jax.report.groups_page import sentence, text


def test_the_page_has_each_group_with_its_sheet_and_command():
    page = Page(pages.render("groups", groups_results()))
    assert page.open == []
    for said in (
        "11 of 12 images fall into 2 groups, as of 2 generators; 1 is alone.",
        "12 unknown and 3 SNGAN. Grouped were those with: unknown.",
        "1 6 0.42 0.31 a/0.png",
        "Group 2: 5 images",
        "--config.images=@runs/group/group-1.txt",
        "It cannot be enrolled: that takes 5 files or more that are in no archive.",
        "1 files could not be used",
        "A group is no proof",
    ):
        assert said in page.text
    assert len([one for one in page.all("img") if one["src"].startswith("data:image/png")]) == 3


def test_no_group_is_said_to_be_one():
    none = groups_results(groups=[], commands=[], tiles=[], alone=[f"{k}.png" for k in range(12)])
    said = "None of 12 images are enough alike to be of one generator: all are alone."
    assert sentence(none) == said
    page = Page(pages.render("groups", none))
    assert said in page.text and "To give the group a name" not in page.text
    assert said in text(none) and "silhouette" not in text(none)


def test_one_group_has_no_silhouette():
    one = groups_results()
    one |= {"groups": [one["groups"][0] | {"silhouette": None}], "commands": [""], "tiles": one["tiles"][:1]}
    assert "1 group, as of one generator" in sentence(one)
    assert "–" in text(one) and "To give a group a name" not in text(one)


def test_a_large_group_is_shown_in_part():
    many = groups_results()
    many["groups"][0]["images"] = 70
    many["tiles"] = [np.zeros((70, 8, 8, 3), np.uint8), many["tiles"][1]]
    assert "60 of 70 are shown" in Page(pages.render("groups", many)).text
