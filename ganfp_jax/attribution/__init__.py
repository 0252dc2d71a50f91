"""Images to verdicts to numbers: the network, the vote over its views, and how sure it is."""
