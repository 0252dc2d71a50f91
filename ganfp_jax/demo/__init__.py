"""The web page that attributes a dropped image to its source. Start it with `python -m ganfp_jax.demo`."""
