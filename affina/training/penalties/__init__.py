"""One term of a loss per file."""
