"""One point of a curve, in a process of its own: `python -m experiments.scaling.point '{"job": "vote", ...}'`.

It prints the figures as a JSON object on the last line. experiments/scaling calls it.
"""

import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any

from ganfp_jax.run.memory import keep_memory

STEPS = 3  # training steps that are compared


def measure(settings: dict[str, Any]) -> dict[str, Any]:
    """The seconds per call and the peak memory of a vote, a forward pass or a training step.

    Args:
        settings: `job` ("vote", "forward" or "step"), `size` of the images, `batch`, `classes`, `views` (a list),
            `rounds` and `seconds` of the timing; `compare` adds the results, with all devices.
    """
    import jax
    import numpy as np

    from experiments.benchmark.__main__ import call_twice
    from experiments.benchmark.timing import spread, take_turns

    if settings["compare"]:
        return compare(settings)
    calls: list[Callable[[], Any]] = []

    def make() -> Callable[[], Any]:
        calls.append(_make_call(settings))
        return calls[0]

    peak = call_twice(make)
    times = take_turns({"call": calls[0]}, settings["rounds"], settings["seconds"])["call"]
    parameters = sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(_network(settings)[1]))
    return {"seconds": spread(times)._asdict(), "peak_mib": peak, "parameters": parameters}


def compare(settings: dict[str, Any]) -> dict[str, Any]:
    """The losses of a few training steps, the logits of the vote after them, and the images per second of both.

    The batch is split over all devices of all processes; each process gives its own part.
    """
    import jax
    import numpy as np

    from experiments.benchmark.timing import spread, take_turns
    from ganfp_jax.attribution.voting import make_vote, unmeasured
    from ganfp_jax.training.attribution_step import make_attribution_step
    from ganfp_jax.training.optimizers import make_adam
    from ganfp_jax.training.sharding import make_mesh, make_put, replicated
    from ganfp_jax.training.state import AttributionState, NetworkState

    mesh = make_mesh()
    network, params = _network(settings)
    images, labels = _images(settings)
    optimizer = make_adam(learning_rate=1e-3, beta1=0.0, beta2=0.99, num_steps=1000)
    step = jax.jit(make_attribution_step(network, optimizer, "mirror"), out_shardings=replicated(mesh))
    part = slice(*(settings["batch"] * (jax.process_index() + i) // jax.process_count() for i in range(2)))
    batch = make_put(mesh)({"image": images[part], "label": labels[part]})
    state = AttributionState(np.int32(0), NetworkState(params, {}, optimizer.init(params)))
    state, losses = jax.device_put(state, replicated(mesh)), []
    for number in range(STEPS):
        state, metrics = step(state, batch, jax.random.key(number))
        losses.append(float(metrics["loss"]))
    voter = make_vote(unmeasured(network.apply), settings["views"], mesh=mesh)
    variables = {"params": state.network.params}
    logits = np.asarray(voter.compiled(variables, batch["image"]).view_logits)
    times = take_turns(
        {
            "step": lambda: jax.block_until_ready(step(state, batch, jax.random.key(0))),
            "vote": lambda: jax.block_until_ready(voter.compiled(variables, batch["image"])),
        },
        settings["rounds"],
        settings["seconds"] if jax.process_count() == 1 else 1e9,  # several processes must stop together
        min_seconds=0.0,
    )
    rates = {f"{name}_images_per_second": settings["batch"] / spread(taken).median for name, taken in times.items()}
    return {"devices": jax.device_count(), "losses": losses, "logits": logits.tolist(), **rates}


def _make_call(settings: dict[str, Any]) -> Callable[[], Any]:
    import jax
    import numpy as np

    from ganfp_jax.attribution.voting import make_vote, unmeasured
    from ganfp_jax.run.compiler import PLAIN_CONVOLUTIONS, known
    from ganfp_jax.training.attribution_step import make_attribution_step
    from ganfp_jax.training.optimizers import make_adam
    from ganfp_jax.training.state import AttributionState, NetworkState

    network, params = _network(settings)
    images, labels = _images(settings)
    if settings["job"] == "vote":
        voter = make_vote(unmeasured(network.apply), settings["views"])
        variables = jax.device_put({"params": params})
        return lambda: jax.device_get(voter.compiled(variables, images))
    optimizer = make_adam(learning_rate=1e-3, beta1=0.0, beta2=0.99, num_steps=1000)
    options = known(PLAIN_CONVOLUTIONS) if jax.default_backend() == "cpu" else None
    step = jax.jit(make_attribution_step(network, optimizer, "mirror"), donate_argnums=0, compiler_options=options)
    params = jax.device_put(params)
    state = AttributionState(np.int32(0), NetworkState(params, {}, optimizer.init(params)))

    def call() -> Any:
        nonlocal state
        state, metrics = step(state, {"image": images, "label": labels}, jax.random.key(0))
        return jax.device_get(metrics)

    return call


def _network(settings: dict[str, Any]) -> tuple[Any, Any]:
    """The published network for that size and number of classes, with parameters drawn by NumPy."""
    import jax
    import numpy as np

    from configs import attribution
    from ganfp_jax import models

    model = attribution.get_config("celeba").model.to_dict() | settings.get("model", {})
    network = models.create(**model, resolution=settings["size"], num_classes=settings["classes"])
    blank = np.zeros((1, settings["size"], settings["size"], 3), np.float32)
    shapes = jax.eval_shape(network.init, jax.random.key(0), blank)["params"]
    rng = np.random.default_rng(0)
    return network, jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)


def _images(settings: dict[str, Any]) -> tuple[Any, Any]:
    import numpy as np

    rng, shape = np.random.default_rng(1), (settings["batch"], settings["size"], settings["size"], 3)
    images = rng.integers(0, 256, shape, np.uint8)
    return images, rng.integers(0, settings["classes"], settings["batch"]).astype(np.int32)


def main() -> None:
    """Measures what the argument asks for and prints it."""
    settings = json.loads(sys.argv[1])
    keep_memory()
    with contextlib.ExitStack() as stack:
        if "coordinator" in settings:
            from ganfp_jax.run import processes

            processes.start(settings["coordinator"], settings["num_processes"], settings["process_id"])
            stack.callback(processes.anywhere, False)  # waits for all processes
        found = measure(settings)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
