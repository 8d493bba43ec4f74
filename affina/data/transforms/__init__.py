"""One step per file: examples to examples."""
