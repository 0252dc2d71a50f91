"""The shipped weights: how they were made, of which photographs, and what they can tell."""
