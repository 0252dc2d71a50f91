"""The steps as functions: devices, order of updates, what each update reads, running average, ranges."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from golden_files import jit
from jax.sharding import AxisType, Mesh

from configs import attribution, cramergan, fingerprint, mmdgan, progan, sngan
from ganfp_jax.data.views import random_view
from ganfp_jax.models import create
from ganfp_jax.models.latents import make_latents
from ganfp_jax.models.pixels import to_network
from ganfp_jax.training.attribution_step import make_attribution_step
from ganfp_jax.training.gan_step import fade_real, make_gan_step, real_batches
from ganfp_jax.training.objectives import OBJECTIVES, penalties
from ganfp_jax.training.objectives import fingerprint as losses
from ganfp_jax.training.objectives.penalties import CriticPenalty
from ganfp_jax.training.optimizers import make_adam
from ganfp_jax.training.programs import PROGRAMS
from ganfp_jax.training.sharding import make_put, replicated
from ganfp_jax.training.state import AttributionState, init_gan, init_network

CONFIGS = {
    "progan": progan, "sngan": sngan, "cramergan": cramergan, "mmdgan": mmdgan,
    "attribution": attribution, "fingerprint": fingerprint,
}  # fmt: skip
LABELLED = ("attribution", "fingerprint")
GANS = ["progan", "sngan", "cramergan", "mmdgan"]
CRITIC_STEPS = {"progan": 1, "sngan": 2, "cramergan": 1, "mmdgan": 2}
REAL_BATCHES = {"progan": 1, "sngan": 2, "cramergan": 2, "mmdgan": 3}  # one more where the generator's loss wants one


def mesh_of(devices: int) -> Mesh:
    return jax.make_mesh((devices,), ("data",), devices=jax.devices()[:devices], axis_types=(AxisType.Auto,))


@functools.cache
def program_of(family, labelled_root=None):
    config = CONFIGS[family].get_config("tiny").to_dict()
    if family in LABELLED:
        config["data"]["root"] = str(labelled_root)
    else:
        config["step"]["critic_steps"] = CRITIC_STEPS[family]
    if family == "mmdgan":  # larger ones make gradients that are 0 but for rounding too large for the bounds here
        config["critic"]["first_weights"] = "published"
    return PROGRAMS[config["program"]](config, Path())


def louder(state):
    """The state with larger weights: at first, the features of dcgan5 lie so close together that their distances, and
    the gradients of a few narrow layers, are rounding noise."""

    def scale(params, factor):
        def one(path, leaf):
            return leaf * (factor if path[-1].key == "weight" else 1)

        return jax.tree.map_with_path(one, params)

    generator = state.generator.params | {"g_h5": scale(state.generator.params["g_h5"], 10)}
    return state.replace(
        generator=state.generator.replace(params=generator),
        critic=state.critic.replace(params=scale(state.critic.params, 6)),
    )


@functools.cache
def first_state(family, labelled_root=None):
    state = jit(program_of(family, labelled_root).init)(jax.random.key(0))
    return louder(state) if family in ("cramergan", "mmdgan") else state


@functools.cache
def on_devices(family, devices, labelled_root=None):
    """The first state, the last phase's step and a batch of it. What takes the time is compiled once."""
    phase, mesh = program_of(family, labelled_root).phases[-1], mesh_of(devices)
    state = jax.device_put(first_state(family, labelled_root), replicated(mesh))
    return state, jit(phase.step, out_shardings=replicated(mesh)), phase.batches()[3]


def one_step(family, devices=1, batch=None, labelled_root=None):
    state, step, own_batch = on_devices(family, devices, labelled_root)
    put = make_put(mesh_of(devices))
    return jax.device_get(step(state, put(own_batch if batch is None else batch), jax.random.key(1)))


close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)


def close_gradient(actual, desired):
    """Equal but for rounding. Two devices add in another order, and such differences go through a whole network and
    back: a moment may be off by 1e-4 of its array's largest (1.3e-5 of 0.39 was seen)."""
    np.testing.assert_allclose(actual, desired, rtol=1e-5, atol=max(1e-5, 1e-4 * np.abs(desired).max(initial=0)))


def adam(network):
    """Both moments, wherever the chain has them."""
    return optax.tree.get(network.opt_state, "mu"), optax.tree.get(network.opt_state, "nu")


@pytest.mark.two_devices
@pytest.mark.parametrize("family", CONFIGS)
def test_two_devices_step_as_one(family, labelled_root):
    root = labelled_root if family in LABELLED else None
    one, metrics_one = one_step(family, 1, labelled_root=root)
    two, metrics_two = one_step(family, 2, labelled_root=root)
    networks = {"attribution": ("network",), "fingerprint": ("network", "critic")}
    for name in networks.get(family, ("generator", "critic")):
        a, b = getattr(one, name), getattr(two, name)
        # What the update is made of, both moments of Adam; and the batch and spectral statistics.
        jax.tree.map(close_gradient, adam(a), adam(b))
        jax.tree.map(close, a.stats, b.stats)
        # Adam divides the first gradient by its own size, so where that is rounding noise the update's sign is noise.
        moved = jax.tree.map(lambda nu: nu > 1e-12, adam(a)[1])
        jax.tree.map(lambda x, y, real: close(x[real], y[real]), a.params, b.params, moved)
        assert all(real.mean() > 0.75 for real in jax.tree.leaves(moved) if real.any())
        assert np.mean([real.any() for real in jax.tree.leaves(moved)]) > 0.5
    for name in metrics_one:
        close(metrics_one[name], metrics_two[name])


@pytest.mark.parametrize("family", GANS)
def test_a_step_reads_its_batches_and_counts_its_updates(family):
    """Several critic steps a generator step, each on images of its own."""
    state, _, batch = on_devices(family, 1)
    assert batch["image"].shape == (REAL_BATCHES[family] * 16, 16, 16, 3)
    after, metrics = one_step(family)
    for name, updates in (("generator", 1), ("critic", CRITIC_STEPS[family])):
        counts = optax.tree.get_all_with_path(getattr(after, name).opt_state, "count")
        assert {int(count) for _, count in counts} == {updates}
    assert (int(state.step), int(after.step)) == (0, 1)
    expected = {f"{player}_{what}" for player in ("critic", "generator") for what in ("loss", "grad_norm")}
    expected |= ({"real_score", "fake_score"} if family in ("progan", "sngan") else set()) | (
        {"gradient_norm"} if family != "sngan" else set()
    )
    assert metrics.keys() == expected
    assert bool(after.ema_params) == (family == "progan")


def with_other_images(family, updates):
    """The batch with other images for the critic's or the generator's updates: every k-th one is one update's."""
    images = on_devices(family, 1)[2]["image"].copy()
    k = REAL_BATCHES[family]
    for i in updates:
        images[i::k] = 255 - images[i::k]
    return {"image": images}


def same(a, b):
    return jax.tree.all(jax.tree.map(np.array_equal, a, b))


@pytest.mark.parametrize("family", GANS)
def test_the_order_of_updates(family):
    """ProGAN, CramerGAN and MMDGAN update their critic first, so its images reach the generator; SNGAN does not."""
    first, _ = one_step(family)
    other, _ = one_step(family, batch=with_other_images(family, range(CRITIC_STEPS[family])))
    assert not same(first.critic.params, other.critic.params)
    assert same(first.generator.params, other.generator.params) == (family == "sngan")


@pytest.mark.parametrize("family", ["cramergan", "mmdgan"])
def test_the_generators_real_images_are_not_the_critics(family):
    first, _ = one_step(family)
    other, _ = one_step(family, batch=with_other_images(family, [REAL_BATCHES[family] - 1]))
    assert same(first.critic.params, other.critic.params)
    assert not same(first.generator.params, other.generator.params)


@pytest.fixture
def step_by_hand(monkeypatch):
    """A step of small networks that tells which latents and which mixtures it drew."""

    def make(name, args, penalty, num_features, critic_steps):
        generator = create("resnet5_generator", resolution=16, latent_size=8, ch=2, padding="reflect")
        critic = create("dcgan5_critic", resolution=16, ch=2, num_features=num_features)
        draw, drawn, mixed = make_latents(size=8, distribution="uniform"), [], []
        objective = OBJECTIVES[name](**args)

        def latents(key, n):
            drawn.append(draw(key, n))
            return drawn[-1]

        interpolate = penalties.interpolate

        def remember(real, fake, mix):
            mixed.append(mix)
            return interpolate(real, fake, mix)

        monkeypatch.setattr(penalties, "interpolate", remember)
        optimizer = make_adam(learning_rate=1e-3, num_steps=10, beta1=0.5, beta2=0.9, clip_norm=1.0)
        step = make_gan_step(
            generator=generator, critic=critic, call=lambda step: {"train": True}, objective=objective, penalty=penalty,
            level=0, generator_optimizer=optimizer, critic_optimizer=optimizer, latents=latents,
            critic_steps=critic_steps, generator_first=False, ema_decay=0.0, pixels="unit", augment="none",
        )  # fmt: skip
        init = jit(lambda key: louder(init_gan(
            init_network(generator, optimizer, key, jnp.zeros((1, 8))),
            init_network(critic, optimizer, key, jnp.zeros((1, 16, 16, 3))),
            keep_ema=False,
            plateau={},
        )))  # fmt: skip
        k = real_batches(objective, critic_steps)
        images = np.random.RandomState(0).randint(0, 256, (4 * k, 16, 16, 3)).astype(np.uint8)
        state = init(jax.random.key(0))

        @jit
        def step_and_draws(state, batch, key):
            return *step(state, batch, key), list(drawn), list(mixed)

        batch = {"image": jnp.asarray(images)}
        after, metrics, latents_drawn, mixes = step_and_draws(state, batch, jax.random.key(1))
        assert after.critic.stats == state.critic.stats == {}  # the layers are looked at and not kept
        assert jax.tree.structure(after) == jax.tree.structure(state)
        real = to_network(jnp.asarray(images[0::k]), jax.random.key(0), "unit")  # of the first critic update
        return generator, critic, objective, state, after, metrics, real, latents_drawn, mixes

    return make


def test_the_fakes_of_cramer_are_independent(step_by_hand):
    penalty = CriticPenalty(weight=10.0, epsilon=1e-5)
    generator, critic, objective, state, _, metrics, real, drawn, [mix] = step_by_hand("cramer", {}, penalty, 8, 1)
    assert [z.shape for z in drawn] == [(4, 8)] * 4  # two for the critic's update and two for the generator's
    flat = np.concatenate(drawn)
    assert len(np.unique(flat, axis=0)) == 16

    @jit
    def loss(params, fakes_from, mix):
        images = [real, *(generator.apply({"params": state.generator.params}, z) for z in fakes_from)]
        answers = [critic.apply({"params": params}, x) for x in images]

        def witness(x):
            return objective.witness(critic.apply({"params": params}, x), *answers)

        norms = penalties.gradient_norm(witness, images[0] + (images[1] - images[0]) * mix, "sample", 1e-5)
        return objective.critic_loss(*answers).mean() + 10 * ((norms - 1) ** 2).mean()

    expected = loss(state.critic.params, drawn[:2], mix)
    np.testing.assert_allclose(metrics["critic_loss"], expected, rtol=1e-5)
    # With the same fake twice it would be another number.
    assert abs(loss(state.critic.params, [drawn[0]] * 2, mix) - expected) > 1e-3


@pytest.mark.parametrize("norm", ["sample", "height"])
def test_the_critics_loss_of_mmd_by_hand(norm, step_by_hand):
    args = {"kernel": "mix_rq_1dot", "estimate": "unbiased", "diagonal": "published"}
    penalty = CriticPenalty(weight=2.0, norm=norm, epsilon=1e-5, layers=3.0)
    made = step_by_hand("mmd", args, penalty, 8, 1)
    generator, critic, objective, state, after, metrics, real, drawn, [mix] = made
    assert len(drawn) == 2
    fake = jit(generator.apply)({"params": state.generator.params}, drawn[0])

    def terms(params):
        def look(x):
            return critic.apply({"params": params}, x, mutable=["layers"])

        (x, of_real), (g, of_fake) = look(real), look(fake)
        norms = penalties.gradient_norm(
            lambda between: objective.witness(look(between)[0], x, g), real + (fake - real) * mix, norm, 1e-5
        )
        squares = sum(jnp.mean(layer**2) for layers in (of_real, of_fake) for layer in jax.tree.leaves(layers))
        return jnp.stack([objective.critic_loss(x, g), 2 * ((norms - 1) ** 2).mean(), 3 * squares]), norms

    parts, norms = jit(terms)(state.critic.params)
    assert (np.abs(parts) > 1e-6).all()
    np.testing.assert_allclose(metrics["critic_loss"], parts.sum(), rtol=1e-5)
    np.testing.assert_allclose(metrics["gradient_norm"], norms.mean(), rtol=1e-5)
    # Its gradient, cut at length 1 variable by variable, is half of Adam's first moment (beta1 0.5).
    gradients = jax.device_get(jit(jax.grad(lambda params: terms(params)[0].sum()))(state.critic.params))
    clipped = jax.tree.map(lambda g: g / max(1.0, np.linalg.norm(np.ravel(g))), gradients)
    halves = jax.tree.map(lambda g: 0.5 * g, clipped)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-6), adam(after.critic)[0], halves)


def test_the_running_average_lags_by_one_step():
    state, step, batch = on_devices("progan", 1)
    one, _ = step(state, make_put(mesh_of(1))(batch), jax.random.key(1))
    jax.tree.map(close, one.ema_params, state.ema_params)  # the average of equal weights
    two, _ = step(one, make_put(mesh_of(1))(batch), jax.random.key(2))
    one, two = jax.device_get((one, two))
    expected = jax.tree.map(lambda old, new: old + (1 - 0.99) * (new - old), one.ema_params, one.generator.params)
    jax.tree.map(close, two.ema_params, expected)
    far = jax.tree.map(lambda a, b: np.abs(a - b).max(), two.ema_params, two.generator.params)
    assert max(jax.tree.leaves(far)) > 1e-3


def test_an_average_has_statistics_of_its_own_and_changes_no_training():
    config = CONFIGS["cramergan"].get_config("tiny").to_dict()
    config["step"] |= {"critic_steps": CRITIC_STEPS["cramergan"], "ema_decay": 0.9}
    state, _, batch = on_devices("cramergan", 1)
    average = jax.tree.map(lambda leaf: 1.5 * leaf, state.generator.params)
    step = jit(PROGRAMS["gan"](config, Path()).phases[0].step)
    after, _ = jax.device_get(step(state.replace(ema_params=average), batch, jax.random.key(1)))
    plain, _ = one_step("cramergan")
    jax.tree.map(close, after.generator.params, plain.generator.params)
    jax.tree.map(close, after.critic.params, plain.critic.params)

    _, _, generator_key, *_ = jax.random.split(jax.random.key(1), 3 + CRITIC_STEPS["cramergan"])
    latent_key, _ = jax.random.split(jax.random.fold_in(generator_key, 0))
    z = make_latents(**config["latents"])(latent_key, config["batch_size"])
    generator = create(**config["generator"], resolution=16)
    call = jit(lambda params, stats: generator.apply({"params": params, **stats}, z, train=True, mutable=list(stats)))
    _, expected = call(after.ema_params, state.generator.stats)
    jax.tree.map(close, after.generator.stats, jax.device_get(expected))
    far = jax.tree.map(lambda a, b: np.abs(a - b).max(), after.generator.stats, plain.generator.stats)
    assert max(jax.tree.leaves(far)) > 1e-3


@functools.cache
def fingerprint_step_by_hand(labelled_root):
    """A step's states, metrics and images, and both gradients taken by hand: (critic's, autoencoder's)."""
    state, _, batch = on_devices("fingerprint", 1, labelled_root)
    after, metrics = one_step("fingerprint", labelled_root=labelled_root)
    config = CONFIGS["fingerprint"].get_config("tiny")
    network = create(**config.model, resolution=16, num_classes=2)
    critic = create(**config.critic, resolution=16)
    weights = losses.LossWeights(**config.objective)
    view_key, mix_key = (jax.random.fold_in(jax.random.key(1), stream) for stream in (0, 1))
    images = random_view(jnp.asarray(batch["image"]), view_key, "d4") / 127.5 - 1
    labels = jnp.asarray(batch["label"])[1::2]
    mix = jax.random.uniform(mix_key, (16, 1, 1, 1))

    @jit
    def gradients(old, new_critic):
        def critic_loss(params):
            real, fake = images[::2], network.apply({"params": old.network.params}, images[::2]).reconstructions
            return losses.critic_loss(lambda x: critic.apply({"params": params}, x), real, fake, mix, weights).mean()

        def autoencoder_loss(params):
            out = network.apply({"params": params}, images[1::2])
            scores = critic.apply({"params": new_critic}, out.reconstructions)
            terms = losses.autoencoder_terms(images[1::2], labels, out.reconstructions, out.logits, scores)
            return losses.autoencoder_loss(terms, weights).mean()

        return (
            jax.value_and_grad(critic_loss)(old.critic.params),
            jax.value_and_grad(autoencoder_loss)(old.network.params),
        )

    return state, after, metrics, gradients(state, after.critic.params)


def test_the_fingerprint_network_and_its_critic_learn_from_their_own_images(labelled_root):
    """The critic from the even images and the old autoencoder, then the autoencoder from the others and the new one."""
    _, after, metrics, by_hand = fingerprint_step_by_hand(labelled_root)
    for name, owner, (loss, gradient) in zip(
        ("critic", "autoencoder"), (after.critic, after.network), by_hand, strict=True
    ):
        np.testing.assert_allclose(metrics[f"{name}_loss"], loss, rtol=1e-5)
        np.testing.assert_allclose(metrics[f"{name}_grad_norm"], optax.tree.norm(gradient), rtol=1e-4)
        # beta1 is 0, so Adam's first moment is the gradient.
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), adam(owner)[0], gradient)


def test_a_fingerprint_step_has_one_update_of_each_network(labelled_root):
    state, after, metrics, _ = fingerprint_step_by_hand(labelled_root)
    for network in (after.network, after.critic):
        counts = optax.tree.get_all_with_path(network.opt_state, "count")
        assert {int(count) for _, count in counts} == {1}
    assert (int(state.step), int(after.step)) == (0, 1)
    assert metrics.keys() == {
        "critic_loss", "critic_grad_norm", "autoencoder_loss", "autoencoder_grad_norm",
        "classification_loss", "reconstruction_error", "adversarial_loss", "accuracy",
    }  # fmt: skip
    terms = [metrics[name] for name in ("classification_loss", "reconstruction_error", "adversarial_loss")]
    np.testing.assert_allclose(metrics["autoencoder_loss"], np.dot(terms, [1, 5, 0.1]), rtol=1e-5)


def test_the_average_of_the_fingerprint_network_follows_every_step(labelled_root):
    state, step, batch = on_devices("fingerprint", 1, labelled_root)
    put = make_put(mesh_of(1))
    jax.tree.map(np.testing.assert_array_equal, state.ema_params, state.network.params)
    one, _ = step(state, put(batch), jax.random.key(1))
    two, _ = step(one, put(batch), jax.random.key(2))
    state, one, two = jax.device_get((state, one, two))
    for before, after in ((state, one), (one, two)):
        expected = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, before.ema_params, after.network.params)
        jax.tree.map(close, after.ema_params, expected)
    far = jax.tree.map(lambda a, b: np.abs(a - b).max(), two.ema_params, two.network.params)
    assert max(jax.tree.leaves(far)) > 1e-4


def test_steps_on_one_batch_lower_the_fingerprint_networks_loss(labelled_root):
    state, step, batch = on_devices("fingerprint", 1, labelled_root)
    batch, seen = make_put(mesh_of(1))(batch), []
    for k in range(16):
        state, metrics = step(state, batch, jax.random.key(k))
        seen.append({name: float(value) for name, value in metrics.items()})
    for name in ("autoencoder_loss", "reconstruction_error"):
        assert np.mean([m[name] for m in seen[-3:]]) < 0.9 * seen[0][name]


def test_real_images_fade_as_the_generators_do():
    x = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))
    np.testing.assert_allclose(fade_real(x, jnp.float32(0)), x)
    halved = fade_real(x, jnp.float32(1))
    np.testing.assert_allclose(halved[:, ::2, ::2], x.reshape(2, 2, 2, 2, 2, 3).mean((2, 4)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(halved[:, 1::2, 1::2], halved[:, ::2, ::2], atol=1e-6)
    np.testing.assert_allclose(fade_real(x, jnp.float32(0.25)), x + (halved - x) / 4, rtol=1e-5, atol=1e-6)


def loops_with_convolutions(jaxpr, inside=False):
    """Loop primitives of a traced function in whose body, at any depth, a convolution stands."""
    found = []
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if inside and name == "conv_general_dilated":
            found.append(name)
        bodies = jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")
        )
        for body in bodies:
            if hasattr(body, "eqns") or hasattr(body, "jaxpr"):
                found += loops_with_convolutions(
                    getattr(body, "jaxpr", body), inside or name in ("scan", "while", "fori_loop", "map")
                )
    return found


@pytest.mark.two_devices  # which leave the convolutions to XLA
@pytest.mark.parametrize("family", CONFIGS)
def test_no_convolution_stands_in_a_loop(family, labelled_root):
    """On the CPU back end one would run 30 times slower there."""
    program = program_of(family, labelled_root if family in LABELLED else None)
    state = jax.eval_shape(program.init, jax.random.key(0))
    for phase in program.phases:
        traced = jax.make_jaxpr(phase.step)(state, phase.batches()[0], jax.random.key(1))
        assert "conv_general_dilated" in str(traced)
        assert not loops_with_convolutions(traced.jaxpr)


def test_a_convolution_in_a_loop_is_found():
    def looped(x):
        kernel = jnp.ones((1, 1, 3, 3))
        body = jax.jit(lambda carry, _: (jax.lax.conv_general_dilated(carry, kernel, (1, 1), "SAME"), None))
        return jax.lax.scan(body, x, None, length=2)[0]

    assert loops_with_convolutions(jax.make_jaxpr(looped)(jnp.ones((1, 1, 4, 4))).jaxpr)


def test_attribution_step_keeps_the_statistics_of_a_network_that_normalises():
    small = {"fmaps": 4, "num_stages": 1, "block_features": 4, "num_features": 8}
    network = create("visnet_moments", resolution=16, num_classes=2, **small)
    optimizer = make_adam(learning_rate=0.01, num_steps=30, beta1=0.9, beta2=0.99, weight_decay=0.01)
    first = jit(functools.partial(init_network, network, optimizer))(jax.random.key(0), jnp.zeros((1, 16, 16, 3)))
    state, step = AttributionState(jnp.int32(0), first), jit(make_attribution_step(network, optimizer, "d4"))
    rng = np.random.RandomState(0)
    noise = rng.randint(0, 256, (16, 16, 16, 3))
    noise[8:] = noise[8:].mean((1, 2), keepdims=True) + noise[8:] // 32  # which is what tells the sources apart
    batch = {"image": jnp.asarray(noise, jnp.uint8), "label": jnp.repeat(jnp.arange(2), 8)}
    losses = []
    for number in range(30):
        state, metrics = step(state, batch, jax.random.key(number))
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.2 * losses[0]
    assert jax.tree.structure(state.network.stats) == jax.tree.structure(first.stats)
    mean = state.network.stats["batch_stats"]["Norm"]["mean"]
    assert mean.shape == first.stats["batch_stats"]["Norm"]["mean"].shape and bool((mean != 0).any())
