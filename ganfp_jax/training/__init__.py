"""Training: a state and a step for each family, and one loop for all."""
