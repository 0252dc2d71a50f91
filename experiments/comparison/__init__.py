"""What the likelihood ratios of `configs/compare.py` are worth, on images that had no part in their calibration."""
