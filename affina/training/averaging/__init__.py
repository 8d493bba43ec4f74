"""One average of weights per file."""
