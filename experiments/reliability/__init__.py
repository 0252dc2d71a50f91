"""How far bad input reaches: damaged image files by the thousand, through the decoder."""
