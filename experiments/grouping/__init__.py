"""Unknown images into groups of one generator each: how right groups and their number are, for unseen generators."""
