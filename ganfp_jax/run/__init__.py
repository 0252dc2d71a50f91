"""What every job stands on: its folder, its errors, its progress, its processes."""
