"""The web page: drop an image, read which source made it. Start it with `python -m ganfp_jax.demo`."""
