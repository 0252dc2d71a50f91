"""`configs/NAME.py` is a file of the current folder, or else the package's."""

import sys
from pathlib import Path

import pytest

from ganfp_jax.run import config_files
from ganfp_jax.run.command_line import load

ROOT = Path(__file__).parents[2]


def test_the_current_folder_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert config_files.locate("configs/audit.py") == ROOT / "configs" / "audit.py"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "audit.py").write_text('"""Mine."""')
    assert config_files.docstring(config_files.locate("configs/audit.py")) == "Mine."
    assert config_files.known()["audit"] == Path("configs/audit.py")
    assert config_files.known()["progan"] == ROOT / "configs" / "progan.py"


def test_a_file_that_is_no_config_has_no_docstring(tmp_path):
    for content in (b"def", b"\xff", b"x = 1"):
        (tmp_path / "x.py").write_bytes(content)
        assert config_files.docstring(tmp_path / "x.py") == ""


@pytest.mark.parametrize("path", ["configs/dance.py", "audit.py", "elsewhere/audit.py", "configs/common/audit.py"])
def test_no_such_file(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    assert config_files.locate(path) is None


def test_a_config_of_ones_own_imports_the_packages(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from configs import audit\n\n\ndef get_config():\n    return audit.get_config()\n"
    )
    for name in [name for name in sys.modules if name.partition(".")[0] == "configs"]:
        monkeypatch.delitem(sys.modules, name)
    assert load(tmp_path / "mine.py")["job"] == "audit"
    assert sys.modules["configs"].__path__ == [str(tmp_path), str(ROOT / "configs")]
    for name in [name for name in sys.modules if name.partition(".")[0] == "configs"]:
        monkeypatch.delitem(sys.modules, name)  # those of this test; the others come back at its end
