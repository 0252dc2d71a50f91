"""Data sets that TFDS has prepared, read as data: no module that they name is imported."""
