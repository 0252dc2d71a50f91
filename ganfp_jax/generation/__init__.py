"""Latents to images to labelled folders, and films of a generator's latent space."""
