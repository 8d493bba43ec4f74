"""One file per way of dividing text that is learnt from texts."""
