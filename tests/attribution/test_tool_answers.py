"""Answers of any tool: what a table may look like, and the reason of every row that is no use."""

import numpy as np
import pytest

from ganfp_jax.attribution import predictions
from ganfp_jax.attribution.tool_answers import Columns, Task, are_probabilities, read_answers
from ganfp_jax.run.errors import UserError

OURS = """image,target,predicted,confidence,votes,real,ProGAN,SNGAN,verdict,margin,distance,typicality,sources,tiles
real/a.png,real,real,0.6,{},0.600000,0.300000,0.100000,real,0.3,0.1,,,1
'=b.png,ProGAN,SNGAN,0.5,{},0.200000,0.300000,0.500000,unsure,0.2,0.1,,,1
"""


def read(folder, text, columns=None, task=None):
    (folder / "t.csv").write_text(text)
    return read_answers(folder / "t.csv", "theirs", columns or Columns(), task or Task())


def test_a_table_of_ours_needs_no_key(tmp_path):
    assert OURS.partition("\n")[0].split(",") == predictions.header(["real", "ProGAN", "SNGAN"])
    (tmp_path / "predictions.csv").write_text(OURS)
    found = read_answers(tmp_path, "ours", Columns(), Task())
    assert found.classes == ("real", "ProGAN", "SNGAN")  # SNGAN has no image here
    assert found.names == ["real/a.png", "=b.png"]
    assert (found.targets.tolist(), found.predicted.tolist()) == ([0, 1], [0, 2])
    assert found.scores.tolist() == [[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]]
    assert found.known.tolist() == [0.6, 0.5]
    assert found.groups is None
    assert found.rejected == []
    assert are_probabilities(found.scores)


def test_a_table_of_ours_from_an_earlier_version(tmp_path):
    rows = [line.rsplit(",", 6)[0] for line in OURS.splitlines()]
    assert read(tmp_path, "\n".join(rows)).classes == ("real", "ProGAN", "SNGAN")


def test_names_cannot_break_a_line(tmp_path):
    ours = read(tmp_path, OURS.replace("real/a.png", "two\\\\\\nlines\x1b.png").replace("'=b.png", "a\\\\b.png"))
    assert ours.names == ["two\\\\\\\\\\\\nlines\\x1b.png", "a\\\\b.png"]  # what is escaped already stays
    theirs = read(tmp_path, "path,label,pred\nx\x1b.png,A\x07,A\ny.png,B,A\n")
    assert (theirs.names, theirs.classes) == (["x\\x1b.png", "y.png"], ("A\\x07", "B"))


def test_columns_of_another_tool(tmp_path):
    text = "file;gt;p_A;p_B;photo\nx\\1.png;A;2.5;-1;one\n./2.png;B;0;9;\n3.png;BigGAN;0;1;one\n"
    columns = Columns(target="gt", scores="p_*", group="photo")
    found = read(tmp_path, text, columns, Task(unknown=("BigGAN",)))
    assert (found.names, found.groups) == (["x/1.png", "2.png", "3.png"], ["one", "", "one"])
    assert (found.classes, found.targets.tolist(), found.predicted.tolist()) == (("A", "B"), [0, 1, 2], [0, 1, 1])
    assert found.known.tolist() == [2.5, 9, 1]
    assert not are_probabilities(found.scores)


def test_answers_alone(tmp_path):
    found = read(tmp_path, "path,label,pred\n1,B,A\n2,A,A\n3,B,typo\n")
    assert (found.classes, found.scores, found.known) == (("A", "B"), None, None)
    assert found.predicted.tolist() == [0, 0, 2]


def test_a_score_for_known_images_of_its_own(tmp_path):
    found = read(tmp_path, "path,label,pred,sure\n1,B,A,0.5\n2,unknown,A,0.25\n", Columns(known="sure"))
    assert (found.known.tolist(), found.targets.tolist()) == ([0.5, 0.25], [0, 1])


def test_a_detector_has_one_score(tmp_path):
    text = "path,label,score\n1,real,0.25\n2,ProGAN,0.75\n3,SNGAN,0.5\n"
    found = read(tmp_path, text, Columns(scores="score"), Task(threshold=0.6))
    assert (found.classes, found.targets.tolist(), found.predicted.tolist()) == (("real", "fake"), [0, 1, 1], [0, 1, 0])
    assert found.scores.tolist() == [[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]]
    assert found.truths == ["real", "ProGAN", "SNGAN"]
    logits = read(tmp_path, "path,label,score\n1,0,-4\n2,1,3\n", Columns(scores="score"), Task(real="0", threshold=0.0))
    assert (logits.classes, logits.predicted.tolist()) == (("0", "1"), [0, 1])
    assert logits.scores.tolist() == [[4, -4], [-3, 3]]


def test_every_row_that_is_no_use_has_its_reason_and_the_rest_goes_on(tmp_path):
    text = """path,label,real,GAN
1,real,0.9,0.1
2,GAN,nan,0.5
3,GAN,0.5,
4,GAN,inf,0
5,BigGAN,0.5,0.5
1,real,0.1,0.9
,real,0.9,0.1
6,,0.9,0.1
7,real,0.9
8,GAN,0.1,0.9
"""
    found = read(tmp_path, text)
    assert found.names == ["1", "8"]
    assert found.rejected == [
        ("2", "line 3: its 'real' is 'nan', no finite number"),
        ("3", "line 4: its 'GAN' is '', no finite number"),
        ("4", "line 5: its 'real' is 'inf', no finite number"),
        ("5", "line 6: its target 'BigGAN' is none of the classes real, GAN, and not in config.unknown"),
        ("1", "line 7: stands in line 2 already"),
        ("", "line 8: it names no image"),
        ("6", "line 9: it has no target"),
        ("7", "line 10: it has 3 cells, the header 4"),
    ]


def test_an_empty_answer_is_none_but_a_strange_one_is_wrong(tmp_path):
    found = read(tmp_path, "path,label,pred\n1,A,\n2,B,C\n3,A,A\n", task=Task(classes=("A", "B")))
    assert found.rejected == [("1", "line 2: it has no answer")]
    assert found.predicted.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("text", "columns", "task", "said"),
    [
        ("x,label,pred\n1,A,A\n", {}, {}, r"has no column 'image'; it has x, label, pred: .*columns.path=NAME"),
        ("path,x,pred\n1,A,A\n", {}, {}, r"has no column 'target'; .*columns.target"),
        ("path,label\n1,A\n", {}, {}, r"neither a column 'predicted' nor a score .*it has path, label: "),
        ("path,label,pred\n1,A,A\n", {"scores": "p_*"}, {}, r"has no two columns like 'p_\*'; .*columns.scores"),
        ("path,label,pred\n1,A,A\n", {"scores": "s"}, {}, r"has no column 's'; .*columns.scores"),
        ("path,label,pred\n1,A,A\n", {"known": "s"}, {}, r"has no column 's'; .*columns.known"),
        ("path,label,p_A\n1,A,1\n", {"scores": "p_*"}, {"classes": ("A", "B")}, r"has no column 'p_B'"),
        ("path,label,A,B\n1,A,nan,0\n2,B,0,x\n", {}, {}, r"none of 2 rows can be used; 1: line 2: its 'A' is 'nan'"),
        ("path,label,A,B\n1,A,1,0\n", {}, {}, r"neither a column 'predicted' nor a score"),  # A alone is always right
        ("path,label,pred\n1,unknown,A\n", {}, {}, r"all images are of unknown sources; see config.classes"),
        (
            "path,label,pred\n" + "".join(f"{i},{i},A\n" for i in range(5001)), {}, {},
            r"has 5,001 classes in its column 'label', over the limit of 5,000; name the column",
        ),
    ],
)  # fmt: skip
def test_a_table_that_is_no_use_is_one_line(tmp_path, text, columns, task, said):
    with pytest.raises(UserError, match=said) as error:
        read(tmp_path, text, Columns(**columns), Task(**task))
    assert "\n" not in str(error.value)


def test_scores_need_not_be_probabilities():
    assert are_probabilities(np.array([[0.5, 0.5], [0.3333, 0.6666]]))
    assert not are_probabilities(np.array([[0.5, 0.6]]))
    assert not are_probabilities(np.array([[1.5, -0.5]]))
    assert not are_probabilities(None)
