"""What a cheap method already reaches on the same images: the numbers every network is shown beside."""
