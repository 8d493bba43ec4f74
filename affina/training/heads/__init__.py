"""One kind of head on embeddings per file."""
