"""A source from a few images: how many of its images are found, and what that costs the known sources."""
