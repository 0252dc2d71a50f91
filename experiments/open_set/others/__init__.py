"""Small generators of architectures that no network of this repository knows: DCGAN, a VAE and a diffusion model."""
