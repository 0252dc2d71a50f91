"""Images of sources that the network does not know: what tells them from known ones, and what they are called."""
