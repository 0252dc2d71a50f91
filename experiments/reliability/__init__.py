"""What a user meets when things go wrong: killed runs, full devices, damaged image files by the thousand."""
