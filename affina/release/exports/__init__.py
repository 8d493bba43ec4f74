"""The shelf of exports: one file format per file."""
