"""The job `score`: files and run folders in; metrics, rejected rows and a page out."""

import csv
import json

import numpy as np
import pytest
from running import run_job

from ganfp_jax.data.decode import encode_png
from ganfp_jax.data.manifests import write_manifest
from ganfp_jax.run.errors import UserError

HEADER = "image,target,predicted,confidence,votes,real,GAN,verdict,margin,distance,tiles\n"


def ours(folder, right, total=20):
    """A run folder whose network is right on the first `right` images of each source."""
    folder.mkdir(parents=True)
    lines = [HEADER]
    for target, other in (("real", "GAN"), ("GAN", "real")):
        for i in range(total):
            called = target if i < right else other
            p = 0.9 if called == "real" else 0.1
            name = f"{target}/{'chelsea' if i % 2 else 'flower'}_{i:05d}.png"
            lines.append(f"{name},{target},{called},0.9,{{}},{p},{1 - p:.1f},{called},0.8,0.1,1\n")
    (folder / "predictions.csv").write_text("".join(lines))
    return folder


def images(root, total=20):
    rng = np.random.default_rng(0)
    for source in ("real", "GAN"):
        (root / "test" / source).mkdir(parents=True)
        for i in range(total):
            name = f"{'chelsea' if i % 2 else 'flower'}_{i:05d}.png"
            encode_png(root / "test" / source / name, rng.integers(0, 256, (16, 16, 3), np.uint8))
    write_manifest(root / "test", ["real", "GAN"], {"real": {"photographs": ["chelsea", "flower"]}})
    return root


def test_two_runs_of_ours_with_their_images(tmp_path):
    a, b = ours(tmp_path / "a", 18), ours(tmp_path / "b", 10)
    over = {"predictions": f"{a},{b}", "data.root": images(tmp_path / "images"), "audit.files_per_source": 20}
    printed = run_job("score", tmp_path / "out", over | {"repeats": 20})
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert list(found["tools"]) == ["a", "b"]
    assert [found["tools"][name]["accuracy"] for name in "ab"] == [0.9, 0.5]
    assert found["tools"]["a"]["groups"] == {"real": 2, "GAN": 20}  # two photographs, of the manifest
    (pair,) = found["pairs"]
    assert (pair["shared"], pair["wrong_to_right"], pair["right_to_wrong"]) == (40, 0, 16)
    assert found["audit"]["files_tested"] == 40
    assert found["tools"]["a"]["detection"]["tpr_at_fpr_10"]["value"] == 0.9
    assert "a is better than b" in (tmp_path / "out" / "report" / "index.html").read_text()
    assert "b against a" in printed
    assert not (tmp_path / "out" / "rejected.csv").exists()


def test_a_tool_of_others_beside_a_run_of_ours(tmp_path):
    a = ours(tmp_path / "a", 18)
    rows = [f"real/{'chelsea' if i % 2 else 'flower'}_{i:05d}.png;real;{i / 40}" for i in range(20)]
    (tmp_path / "theirs.csv").write_text("\n".join(["path;label;score", *rows, "x.png;GAN;1", "y.png;GAN;nan"]))
    over = {"predictions": f"{tmp_path}/theirs.csv", "columns.scores": "score", "repeats": 20, "names": "detector"}
    printed = run_job("score", tmp_path / "one", over)
    assert "detector: 1 of 22 rows cannot be used" in printed
    assert list(csv.reader((tmp_path / "one" / "rejected.csv").read_text().splitlines())) == [
        ["image", "reason"],
        ["y.png", "detector, line 23: its 'score' is 'nan', no finite number"],
    ]
    found = json.loads((tmp_path / "one" / "metrics.json").read_text())
    assert found["tools"]["detector"]["detection"]["auroc"]["value"] == 1
    assert found["audit"] is None
    answers = "\n".join(["path,label,pred", *(f"{row.replace(';', ',', 1).partition(';')[0]},real" for row in rows)])
    (tmp_path / "answers.csv").write_text(answers)
    both = {"predictions": f"{a}/predictions.csv,{tmp_path}/answers.csv", "repeats": 20}
    run_job("score", tmp_path / "two", both)
    found = json.loads((tmp_path / "two" / "metrics.json").read_text())
    assert list(found["tools"]) == ["a", "answers"]
    assert (found["pairs"][0]["shared"], found["pairs"][0]["wrong_to_right"]) == (20, 2)


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ({"predictions": ""}, "config.predictions is empty; give answers of a tool"),
        ({"predictions": "{a},{a}"}, "give each file a name of its own"),
        ({"predictions": "{a}", "names": "x,y"}, "config.names is x, y for .*; give each file"),
        ({"predictions": "{a}", "repeats": 0}, "config.repeats 0; give 1 or more"),
        ({"predictions": "{a}", "audit.folds": 1}, "config.audit.folds is 1"),
        ({"predictions": "{a}", "classes": "real,GAN,real"}, "config.classes has 'real' twice"),
        ({"predictions": "{a}", "classes": "real,unknown"}, "config.classes has 'unknown' twice, or config.unknown"),
        ({"predictions": "{a},{tmp}/other.csv"}, "a and other share no image"),
        ({"predictions": "{a},{tmp}/nowhere.csv"}, "nowhere.csv cannot be read"),
        ({"predictions": "{tmp}/other.csv", "data.root": "{tmp}/images"}, "none of the images of other is in "),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(tmp_path, over, said):
    a = ours(tmp_path / "a", 18)
    (tmp_path / "other.csv").write_text("path,label,pred\n1.png,real,real\n2.png,GAN,real\n")
    if "data.root" in over:
        images(tmp_path / "images", 5)
    given = {
        key: str(value).format(a=a, tmp=tmp_path) if isinstance(value, str) else value for key, value in over.items()
    }
    with pytest.raises(UserError, match=said) as error:
        run_job("score", tmp_path / "out", given)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out" / "metrics.json").exists()
