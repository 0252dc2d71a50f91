"""The settings of parts: what is not known to follow from the same is kept, and said."""

import pytest

from ganfp_jax.attribution import parts
from ganfp_jax.run.errors import UserError

SETTINGS = {"parts": 2, "shard": "", "classes": ["real"]}


@pytest.fixture
def workdir(tmp_path):
    """A run folder with a part."""
    with parts.writing(tmp_path, parts.name_of(0), SETTINGS):
        pass
    return tmp_path


def test_parts_of_the_same_settings_are_done(workdir):
    assert parts.begin(workdir, SETTINGS) == [workdir / "parts" / "000000"]


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), (b"{", "Expecting"), (b"[]", "it holds"), (b"{}", "it holds")]
)
def test_parts_without_readable_settings_stay(workdir, content, why):
    settings = workdir / "parts" / "settings.json"
    settings.unlink()
    if content is not None:
        settings.write_bytes(content)
    with pytest.raises(UserError) as error:
        parts.begin(workdir, SETTINGS)
    message = str(error.value)
    assert message.startswith(f"{settings} cannot be read ({why}") and "delete" not in message
    assert message.endswith("restore it, or begin anew with another --workdir")
    assert parts.done(workdir)


def test_a_removal_that_was_stopped_goes_on(workdir, monkeypatch):
    with monkeypatch.context() as stopped:
        stopped.setattr(parts, "done", lambda workdir: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            parts.remove(workdir)
    assert parts.done(workdir)
    assert parts.begin(workdir, SETTINGS | {"parts": 3}) == []
    assert not list(workdir.iterdir())


def test_parts_from_before_a_setting_go_on():
    assert parts.differences({"rule": "majority"}, {"rule": "majority", "stability": False}) == ""
    assert "stability" in parts.differences({"rule": "majority"}, {"rule": "majority", "stability": True})
