"""The study from scratch on every fold of the photographs: how far its numbers move with the photographs."""
