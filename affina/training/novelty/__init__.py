"""One way to tell the strange from the normal per file."""
