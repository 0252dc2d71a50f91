"""What a person reads after a run: picture grids, console tables and one self-contained HTML page."""
