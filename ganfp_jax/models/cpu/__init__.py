"""Convolutions for JAX's CPU back end that run near the machine's arithmetic limit."""
