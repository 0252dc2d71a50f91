"""The benchmark: its clock and ratios, its check before the clock, its competitors, its table."""

import dataclasses
import json

import numpy as np
import pytest

from experiments.benchmark import __main__ as benchmark
from experiments.benchmark.competitor import Answer, Competitor, check_agreement
from experiments.benchmark.timing import ratio, spread, take_turns
from experiments.benchmark.vote import LOOP, TURNS, jax_competitors, make_images, make_network
from ganfp_jax.errors import UserError
from ganfp_jax.views import EXACT_VIEWS, apply_view


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
    assert clock.worked == ["a", "b", *["a", "b", "b"] * 4]  # one call of each to judge by
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


def test_it_runs_without_pytorch(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "missing", lambda: ["torch", "ttach"])
    monkeypatch.setattr("sys.argv", ["benchmark", "--variant=tiny", f"--out={tmp_path}"])
    benchmark.main()
    printed = capsys.readouterr().out
    records = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [record["competitor"] for record in records] == [
        "ganfp_jax, one view",
        "ganfp_jax, vote",
        "JAX, Python loop",
    ]
    assert records[0]["ratio_to_one_view"] == {"median": 1, "low": 1, "high": 1}
    assert all(record["seconds"]["low"] > 0 and record["rounds"] == 3 for record in records)
    assert f"| {records[1]['row']} | ganfp_jax, vote | " in printed
    assert "torch, ttach not installed; pip install -e '.[bench]'" in printed


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
