"""One kind of noise per file."""
