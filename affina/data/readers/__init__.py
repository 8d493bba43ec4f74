"""One file format per file: bytes to records."""
