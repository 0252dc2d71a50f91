"""What JAX's CPU back end leaves on the table: convolutions near the machine's arithmetic limit, memory that stays."""
