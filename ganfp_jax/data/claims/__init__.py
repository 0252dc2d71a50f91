"""What a file says of its own making: text of generators' tools, IPTC's source type, C2PA manifests. None is proof."""
