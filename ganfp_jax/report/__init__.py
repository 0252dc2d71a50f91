"""The output for readers: picture grids, figures, console tables and self-contained HTML pages."""
