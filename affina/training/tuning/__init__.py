"""Which weights move: one method per file."""
