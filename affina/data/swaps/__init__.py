"""Men become women and women men, in words that agree: one language per file; and the words that this is about."""
