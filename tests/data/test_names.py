import pytest

from ganfp_jax.data.names import MAX_BYTES, OUR_WORDS, check_names, fault_of, fitting, inside
from ganfp_jax.run.errors import UserError

GOOD = (
    *("real", "ProGAN", "SNGAN seed 2", "ncnn:realesrgan", "COM1 photographs", "a..b", "x" * MAX_BYTES),
    *("生成器", "نسخه‌ها"),
)
BAD = {
    "": "empty",
    " \t": "empty",
    "..": 'begins with "."',
    ".hidden": 'begins with "."',
    "../../out": "separator",
    "/absolute": "separator",
    "a\\b": "separator",
    "C:out": "drive",
    "nul\0": "control character",
    "bell\x07": "control character",
    "line\u2028": "control character",
    "evil\u202egnp": "direction of writing",
    "\ud800": "UTF-8",
    "x" * (MAX_BYTES + 1): "256 bytes",
    "é" * MAX_BYTES: "510 bytes",
    "=1+1": "formula",
    "+GAN": "formula",
    "-GAN": "formula",
    "@GAN": "formula",
    "＝1+1": "formula",
    "＠GAN": "formula",
    "Unknown": "predictions.csv",
} | dict.fromkeys(sorted(OUR_WORDS), "predictions.csv")


@pytest.mark.parametrize("name", GOOD)
def test_fault_of_good_names(name):
    assert fault_of(name) == ""


@pytest.mark.parametrize("name", BAD)
def test_fault_of_bad_names(name):
    assert BAD[name] in fault_of(name)


@pytest.mark.parametrize("name", [None, 5, ["real"], b"real"])
def test_fault_of_what_is_no_text(name):
    assert "no text" in fault_of(name)


def test_check_names_says_where_and_which():
    check_names(GOOD, "here")
    with pytest.raises(UserError, match=r"^list\.csv: the source name '\.\./out' has a path separator; rename"):
        check_names(["real", "../out"], "list.csv")
    with pytest.raises(UserError, match="'real' stands there twice"):
        check_names(["real", "fake", "real"], "here")
    with pytest.raises(UserError) as error:
        check_names(["\ud800" * 5000], "here")
    assert len(str(error.value).encode()) < 200


@pytest.mark.parametrize("name", ["a.png", "x" * 251 + ".png", "é" * 125 + ".jpg"])
def test_a_name_that_a_file_can_have_stays(name):
    assert fitting(name) == name


@pytest.mark.parametrize("name", ["x" * 252 + ".png", "é" * 5000 + ".png", "a." + "b" * 400, "生" * 100 + ".png"])
def test_a_name_that_is_too_long_is_cut_and_stays_its_own(name, tmp_path):
    (tmp_path / fitting(name)).touch()
    assert fitting(name) != fitting("y" + name) != fitting(name[:200] + "z" + name[200:]) != fitting(name)
    assert fitting(name).endswith(".png") == name.endswith(".png")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("real/a.png", "real/a.png"),
        ("../../a.png", "a.png"),
        ("/etc/x/a.png", "etc/x/a.png"),
        ("x/../../y/a.png", "x/y/a.png"),
        ("//a.png", "a.png"),
    ],
)
def test_a_place_inside(name, place):
    assert inside(name).as_posix() == place
