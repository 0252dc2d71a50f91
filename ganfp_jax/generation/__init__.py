"""Labelled folders of generated images, and animations of walks through a generator's latent space."""
