"""The benchmark: its clock and ratios, its check before the clock, its competitors, its table."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.benchmark import __main__ as benchmark
from experiments.benchmark import attribution, gans, vote
from experiments.benchmark.competitor import Answer, Competitor, check_agreement
from experiments.benchmark.first_verdict import first_verdict_row
from experiments.benchmark.folder import folder_row, make_jpegs
from experiments.benchmark.limits import Rates, measure_rates
from experiments.benchmark.row import Cost, Options, check_close
from experiments.benchmark.timing import ratio, spread, take_turns
from experiments.benchmark.unknown import unknown_row
from experiments.benchmark.vote import LOOP, TURNS, jax_competitors, make_images, make_network
from ganfp_jax.data.views import EXACT_VIEWS, apply_view
from ganfp_jax.run.errors import UserError

ROOT = Path(__file__).parents[2]


class Clock:
    """Time that passes only while somebody works."""

    def __init__(self):
        self.now, self.worked = 0.0, []

    def __call__(self):
        return self.now

    def work(self, name, seconds):
        self.now += seconds
        self.worked.append(name)


def test_turns_are_taken_and_short_calls_repeated():
    clock = Clock()
    calls = {"a": lambda: clock.work("a", 1.0), "b": lambda: clock.work("b", 0.25)}
    times = take_turns(calls, 4, 100.0, min_seconds=0.5, clock=clock)
    # One call of each to judge by; one that is repeated is called once before it counts.
    assert clock.worked == ["a", "b", *["a", "b", "b", "b"] * 4]
    assert {name: values.tolist() for name, values in times.items()} == {"a": [1.0] * 4, "b": [0.25] * 4}


@pytest.mark.parametrize(("seconds", "rounds"), [(0.0, 3), (4.5, 5), (100.0, 6)])
def test_no_round_begins_too_late_but_three_do(seconds, rounds):
    clock = Clock()
    times = take_turns({"a": lambda: clock.work("a", 1.0)}, 6, seconds, clock=clock)
    assert len(times["a"]) == rounds


def test_ratios_are_taken_round_by_round():
    # The machine is four times slower in the last round, for both.
    times = {"a": np.array([2.0, 2.0, 12.0]), "b": np.array([1.0, 1.0, 4.0])}
    assert ratio(times, "a", "b").median == 2
    assert ratio(times, "a", "b").high == pytest.approx(2.95)
    assert spread(np.arange(201.0)) == (100, 5, 195)


def asked(answer, rule="majority", views=EXACT_VIEWS):
    return Competitor("someone", views, rule, lambda images: answer)


def test_the_check_refuses_other_logits_and_other_decisions():
    logits = np.random.default_rng(0).normal(size=(8, 20, 3)).astype(np.float32)
    judge, images = Answer(np.zeros(20, int), logits), make_images(20, 16)
    mean = logits.mean(0)
    good = Answer(mean.argmax(-1), mean[None])
    check_agreement([asked(good, "mean_logit")], judge, images)
    check_agreement([asked(Answer(logits[2].argmax(-1), logits[2:3]), views=EXACT_VIEWS[2:3])], judge, images)
    with pytest.raises(UserError, match=r"someone: logits differ by 0\.0002, more than 0\.0001"):
        check_agreement([asked(good._replace(logits=good.logits + 2e-4), "mean_logit")], judge, images)
    with pytest.raises(UserError, match="logits differ by nan"):
        check_agreement([asked(good._replace(logits=good.logits * np.nan), "mean_logit")], judge, images)
    with pytest.raises(UserError, match="someone: decides otherwise on 20 of 20 images"):
        check_agreement([asked(good._replace(predicted=good.predicted + 1), "mean_logit")], judge, images)


@pytest.mark.parametrize("view", EXACT_VIEWS)
def test_numpys_turns_are_our_views(view):
    images = make_images(2, 16)
    np.testing.assert_array_equal(TURNS[view](images), apply_view(images, view))


def test_the_images_get_different_decisions():
    loop = next(competitor for competitor in jax_competitors(make_network(16)) if competitor.name == LOOP)
    assert len(set(loop.answer(make_images(32, 16)).predicted.tolist())) > 1


def test_a_size_without_a_config_is_refused():
    with pytest.raises(UserError, match=r"no network for size 20: choose from \[16, 32, 128\]"):
        make_network(20)


def run(monkeypatch, *arguments):
    monkeypatch.setattr(benchmark, "missing", lambda: ["torch", "ttach"])
    monkeypatch.setattr("sys.argv", ["benchmark", "--variant=tiny", *arguments])
    benchmark.main()


def test_benchmark_runs_without_pytorch_and_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    run(monkeypatch, "--rows", "forward", f"--out={tmp_path}")
    path = tmp_path / "results.jsonl"
    [first] = path.read_text().splitlines()
    run(monkeypatch, "--rows", "forward", "vote", "folder", f"--out={tmp_path}")
    printed = capsys.readouterr().out
    assert f"forward 16 4: in {path}" in printed
    assert path.read_text().startswith(first + "\n")
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(record["row"].split()[0], record["competitor"]) for record in records] == [
        ("forward", "ganfp_jax"),
        ("vote", "ganfp_jax"),
        ("vote", "JAX, Python loop"),
        ("vote", "ganfp_jax, one view"),
        ("folder", "ganfp_jax"),
    ]
    assert all(record["seconds"]["low"] > 0 and record["rounds"] == 1 for record in records)
    assert records[1]["ratio_to_ours"] == {"median": 1, "low": 1, "high": 1}
    forward, vote = (record["cost"] for record in records[:2])
    assert vote["flops"] == pytest.approx(8 * forward["flops"], rel=0.01)
    limit = max(vote["flops"] / records[1]["limits"]["flops"], vote["bytes"] / records[1]["limits"]["bytes"])
    assert records[1]["share_of_limit"] == pytest.approx(limit / records[1]["seconds"]["median"])
    assert records[4]["share_of_limit"] is None
    assert "| vote 16x16, batch 4 | JAX, Python loop | " in printed
    assert "torch, ttach not installed; pip install -e '.[bench]'" in printed


def test_a_row_is_too_slow_where_all_of_its_rounds_are():
    record = {"row": "unknown 32x32, batch 4", "competitor": "never unknown", "least": 1 / 1.05}
    slow, unsure = {"median": 0.8, "low": 0.7, "high": 0.9}, {"median": 0.8, "low": 0.7, "high": 1.0}
    assert benchmark.too_slow([record | {"ratio_to_ours": slow}]) == [
        "unknown 32x32, batch 4 takes 1.25 times as long as never unknown; at most 1.05 is allowed"
    ]
    assert not benchmark.too_slow([record | {"ratio_to_ours": unsure}])
    assert not benchmark.too_slow([record | {"ratio_to_ours": slow, "least": None}])


def test_verdicts_are_the_same_where_nothing_is_unknown():
    row = unknown_row(3)
    row.check({name: make()() for name, make in row.makers.items()})
    ours, theirs = row.makers
    row.check({ours: ["unknown", "real"], theirs: ["SNGAN", "real"]})
    with pytest.raises(UserError, match="batch 3: unsure is real where nothing is unknown"):
        row.check({ours: ["unsure"], theirs: ["real"]})


def test_figures_of_another_machine_are_not_taken_for_this_ones(tmp_path):
    about = benchmark.machine()
    record = {"key": "forward 16 4", "dtype": "float32", "machine": about | {"created": "another day"}}
    others = [{"processor": "another"}, {"versions": about["versions"] | {"jax": "0.1"}}]
    lines = [record, *(record | {"machine": about | other} for other in others), record | {"dtype": "bfloat16"}]
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert benchmark.read_done(path, about, "float32") == [record]
    assert benchmark.read_done(tmp_path / "none.jsonl", about, "float32") == []


def test_the_peak_is_what_a_competitor_adds():
    """In a process of its own, as the benchmark does: what another one frees meanwhile would count."""
    code = """
import numpy as np
from experiments.benchmark.__main__ import call_twice

def make():
    held = np.ones((64, 2**20), np.uint8)  # 64 MiB, all of it touched
    return lambda: held.sum()

print(call_twice(make))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 60 < float(done.stdout) < 200


def test_the_limit_is_the_slower_of_multiplying_and_copying():
    rates = Rates(flops=100.0, bytes=10.0)
    assert rates.seconds(Cost(flops=200.0, bytes=10.0)) == 2
    assert rates.seconds(Cost(flops=200.0, bytes=50.0)) == 5
    measured = measure_rates("float32", side=64, megabytes=1)
    assert min(measured) > 1e6


def test_answers_that_differ_are_refused():
    answers = {"ours": {"loss": 2.0, "ours alone": 1}, "theirs": {"loss": 2.001}}
    check_close("row", answers, 1e-3)
    with pytest.raises(UserError, match=r"row: loss of theirs differs by 0\.0005 of its size from ours"):
        check_close("row", answers, 1e-4)
    with pytest.raises(UserError, match="differs by nan"):
        check_close("row", answers | {"theirs": {"loss": float("nan")}}, 1.0)


def test_the_folder_has_every_class_and_the_rows_all_kinds(tmp_path):
    root = make_jpegs(tmp_path / "images", 10, 16)
    assert sorted(path.name for path in root.iterdir()) == sorted(vote.CLASSES)
    assert all(len(list(path.iterdir())) == 2 for path in root.iterdir())
    keys = [key for key, _ in benchmark.make_rows(benchmark.KINDS, [16], [4, 8], Options())]
    assert len(set(keys)) == len(keys) == 2 + 2 + 1 + 4 + 4 + 1 + 1 + 2


def torch_agrees(row):
    """Runs each competitor's call once and lets the row judge."""
    torch = pytest.importorskip("torch", reason="needs the extra bench")
    pytest.importorskip("ttach", reason="needs the extra bench")
    threads = torch.get_num_threads()
    try:
        row = row()
        row.check({name: make()() for name, make in row.makers.items()})
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("family", gans.CONFIGS)
def test_pytorchs_gans_are_ours(family):
    torch_agrees(lambda: gans.iteration_row(family, 16, Options(compile=False)))
    torch_agrees(lambda: gans.generation_row(family, 16, 4, Options(compile=False)))


def test_pytorchs_training_folder_and_verdict_are_ours():
    options = Options(compile=False, files=7)
    torch_agrees(lambda: attribution.training_row(16, 8, options))
    torch_agrees(lambda: folder_row(16, options))
    torch_agrees(lambda: first_verdict_row(16, options))


@pytest.mark.parametrize("input", ["image", "residual"])
def test_pytorchs_network_is_ours(input):
    torch = pytest.importorskip("torch", reason="needs the extra bench")
    pytest.importorskip("ttach", reason="needs the extra bench")
    from experiments.benchmark.torch_vote import torch_competitors

    network = make_network(16)
    network = dataclasses.replace(network, module=network.module.clone(input=input), input=input)
    images = make_images(8, 16)
    threads = torch.get_num_threads()
    try:
        theirs = torch_competitors(network.params, input, compile=False)
        judge = next(competitor for competitor in jax_competitors(network) if competitor.name == LOOP)
        check_agreement(theirs, judge.answer(images), images)
    finally:
        torch.set_num_threads(threads)
