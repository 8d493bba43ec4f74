"""Raw files to examples, examples to rows, rows to batches; every input row accounted for."""
