"""What is seen of long work in a file, and in a terminal."""

import io
import sys
import threading

import pytest

from ganfp_jax.run import progress as module
from ganfp_jax.run.progress import Lines, aside, compiles, progress


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """What a bar is drawn on."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    monkeypatch.setattr(module.time, "time", clock)
    return clock


def test_a_file_gets_whole_lines_with_percentage_rate_and_time_left(clock, capsys):
    with progress(200, "progan", "step") as bar:
        for _ in range(200):
            clock.now += 0.5
            bar.set_postfix({"loss": "0.1"}, refresh=False)
            bar.update()
    log = capsys.readouterr().err
    lines = log.splitlines()
    assert lines[0] == "progan: step 10 of 200 (5 %), 2.0/s, 01:35 left, loss=0.1"
    assert lines[-1] == "progan: step 200 of 200 (100 %), done in 01:40"
    assert len(lines) == 20  # one every five seconds
    assert "\r" not in log
    assert log.endswith("\n")


def test_progress_of_slow_units_and_thousands(clock, capsys):
    with progress(1200, "attribute", "image") as bar:
        clock.now += 30
        bar.update(10)
    assert capsys.readouterr().err.splitlines() == [
        "attribute: image 10 of 1,200 (1 %), 3.0 s each, 59:30 left",
        "attribute: image 10 of 1,200 (1 %), stopped after 00:30",
    ]


def test_work_of_two_seconds_leaves_no_line(clock, capsys):
    with progress(2, "digest", "file") as bar:
        clock.now += 2
        bar.update(2)
    with progress(0, "nothing", "file", disable=True):
        clock.now += 20
    assert capsys.readouterr().err == ""


def test_nothing_to_do_that_takes_long_is_told_without_a_percentage(clock, capsys):
    with progress(0, "nothing", "file"):
        clock.now += 20
    assert capsys.readouterr().err == "nothing: file 0 of 0, done in 00:20\n"


def test_compiling_is_said_and_left_out_of_the_time_left(clock, capsys, monkeypatch):
    monkeypatch.setattr(module, "ASIDE", 0.0)
    said, write = threading.Event(), Lines.say

    def say(bar: Lines, doing: str) -> None:
        write(bar, doing)
        said.set()

    monkeypatch.setattr(Lines, "say", say)

    @compiles
    def step(x: int) -> int:
        assert said.wait(60)
        clock.now += 60 if x == 0 else 0
        return x + 1

    with progress(100, "outer", "phase"), progress(100, "sngan", "step") as bar:
        for i in range(5):
            assert step(i) == i + 1
            clock.now += 1
            bar.update()
    assert capsys.readouterr().err.splitlines() == [
        "sngan: compiling",
        "sngan: step 5 of 100 (5 %), 1.0/s, 01:35 left",
        "sngan: step 5 of 100 (5 %), stopped after 01:05",
        "outer: phase 0 of 100 (0 %), stopped after 01:05",
    ]


def test_an_aside_within_another_counts_once(clock, capsys):
    with progress(100, "sngan", "step") as bar:
        with aside(), aside():
            clock.now += 60
        clock.now += 5
        bar.update(5)
    assert "step 5 of 100 (5 %), 1.0/s, 01:35 left" in capsys.readouterr().err


def test_an_aside_without_a_bar_and_one_that_fails(capsys):
    with aside():
        pass
    with progress(1, "x", "step") as bar, pytest.raises(ValueError), aside():
        raise ValueError
    assert not bar.stopped
    assert capsys.readouterr().err == ""


def test_a_terminal_gets_a_bar(clock, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress(10, "progan", "step") as bar:
        for _ in range(10):
            clock.now += 1
            bar.update()
    assert "progan:  50%" in terminal.getvalue()
    assert "\n" not in terminal.getvalue()


def test_progress_without_standard_error_shows_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with progress(10, "progan", "step") as bar, aside():
        bar.update()
    assert bar.disable


def test_progress_towards_a_total_that_nobody_knows(clock, capsys):
    with progress(None, "list", "file") as bar:
        for _ in range(150):
            clock.now += 0.0625
            bar.update(100)
    assert capsys.readouterr().err.splitlines() == ["list: file 8,000, 1,600.0/s", "list: file 15,000, done in 00:09"]
