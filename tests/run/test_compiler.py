from ganfp_jax.run import compiler


def test_options_that_xla_does_not_know_are_left_out():
    options = compiler.LOW_EFFORT | {"xla_cpu_experimental_made_up": "", "xla_backend_made_up": 1}
    assert compiler.known(options) == compiler.LOW_EFFORT
    assert compiler.known({}) == {}
