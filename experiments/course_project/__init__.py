"""The course project's own test, over 20 dataset seeds: what one draw of 15 or 150 images says."""
