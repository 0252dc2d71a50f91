"""Completion of `ganfp`: the script that a shell runs knows jobs, keys and flags."""

import shutil
import subprocess

import pytest

from ganfp_jax.run.completion import script
from ganfp_jax.run.errors import UserError


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    file = tmp_path_factory.mktemp("completion") / "ganfp.bash"
    file.write_text(script("bash"))

    def complete(line):
        *_, before, word = ["ganfp", *line.split(" ")]
        words = f"COMP_WORDS=(ganfp {line}); COMP_CWORD={len(line.split(' '))}"
        code = f"source {file}; {words}; $(complete -p ganfp | sed 's/.*-F \\([^ ]*\\).*/\\1/') ganfp '{word}' {before}"
        done = subprocess.run(["bash", "-c", f'{code}; echo "${{COMPREPLY[@]}}"'], capture_output=True, text=True)
        return done.stdout.split()

    return complete


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes_jobs_keys_and_flags(bash):
    assert bash("att") == ["attribute", "attribution"]
    assert bash("attribute --til") == ["--tiles"]
    assert bash("evaluate --data.r") == ["--data.resize", "--data.root"]
    assert bash("evaluate --work") == ["--workdir"]


def test_every_shell_and_no_other():
    for shell in ("bash", "zsh"):
        assert "inspect_fingerprints" in script(shell)
    with pytest.raises(UserError, match="--completion=dos: choose from bash, zsh"):
        script("dos")


def test_nothing_of_the_current_folder_is_run(tmp_path, monkeypatch):
    """A shell asks when it starts, wherever that is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").mkdir()
    for name in ("audit", "strange"):
        (tmp_path / "configs" / f"{name}.py").write_text("raise SystemExit('run')")
    assert "strange" not in script("bash")
