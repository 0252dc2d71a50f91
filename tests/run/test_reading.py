"""Files of others: regular ones are read within bounds, all else is refused at once."""

import os
import socket
import threading

import pytest

from ganfp_jax.run import reading


def test_a_regular_file_is_read_and_a_link_followed(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name in ("file", "link"):
        with reading.open_regular(tmp_path / name) as file:
            assert file.read() == b"content"
    assert reading.read_regular(tmp_path / "file", 7) == b"content"
    with pytest.raises(ValueError, match="7 bytes, over the limit of 6"):
        reading.read_regular(tmp_path / "file", 6)


def pipe(path):
    os.mkfifo(path)


def bound_socket(path):
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def loop(path):
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (pipe, "not a regular file"),
        (bound_socket, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.mkdir(), "Is a directory"),
        (loop, "symbolic links"),
        (lambda path: None, "No such file"),
    ],
)
def test_what_is_no_file_is_refused_at_once(tmp_path, make, reason):
    make(tmp_path / "it")
    with pytest.raises(OSError, match=reason) as refused:
        reading.open_regular(tmp_path / "it")
    assert refused.value.filename == str(tmp_path / "it")


@pytest.mark.parametrize(("name", "reason"), [("a\0b", "NUL"), ("x" * 5000, "too long"), ("", "No such file")])
def test_names_that_no_file_has(name, reason):
    with pytest.raises(OSError, match=reason):
        reading.open_regular(name)


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path, monkeypatch):
    """Between the look and the opening, as another process may time it."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    stat = os.stat

    def look(name):
        found = stat(name)
        path.unlink()
        os.mkfifo(path)
        return found

    monkeypatch.setattr(reading.os, "stat", look)
    outcome = []

    def attempt():
        try:
            reading.open_regular(path)
        except OSError as error:
            outcome.append(str(error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(30)
    assert outcome == [f"[Errno 22] not a regular file: '{path}'"]


@pytest.mark.parametrize("depth", [65, 5_000, 100_000])
def test_deep_json_is_no_json(depth):
    for text in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth, "[" * depth):
        with pytest.raises(ValueError, match=r"nested too deeply|Expecting value"):
            reading.parse_json(text)


def test_json_is_what_it_says(tmp_path):
    (tmp_path / "x.json").write_text('{"a": [1, {"b": null}], "c": {}}')
    assert reading.read_json(tmp_path / "x.json") == {"a": [1, {"b": None}], "c": {}}
    assert reading.parse_json("[" * 64 + "]" * 64)
    for text in (b"", b"\xff\xfe\xff", b"{", b"1" * 5000):
        with pytest.raises(ValueError):
            reading.parse_json(text)
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(reading.MAX_JSON + 1)
    with pytest.raises(ValueError, match="over the limit"):
        reading.read_json(tmp_path / "large.json")


def test_a_library_opens_what_we_have_open(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"first")
    with reading.open_regular(path) as file:
        name = reading.name_of(path, file)
        path.unlink()
        path.write_bytes(b"other")
        with open(name, "rb") as again:  # noqa: PTH123 - as a library does
            assert again.read() == (b"first" if name != str(path) else b"other")
