"""Whether the input of a training keeps up with its steps."""
