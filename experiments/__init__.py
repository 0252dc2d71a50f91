"""One folder a table or figure: README (command, seeds, reading), results.jsonl, and the script that makes them."""
