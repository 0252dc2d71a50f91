"""How strangers' files become pixels: kinds, limits of work and memory, processes that may die."""
