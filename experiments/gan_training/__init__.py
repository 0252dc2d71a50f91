"""What each generator's training costs, and how its losses run."""
