"""Training: one state, one step a family, one loop for all."""
