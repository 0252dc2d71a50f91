"""Data sets of TFDS, read as plain data: no module that they name is imported."""
