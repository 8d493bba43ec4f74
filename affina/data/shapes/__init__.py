"""One known dataset shape per file: records to examples."""
