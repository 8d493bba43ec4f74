"""One file per family of networks that can be made of random weights."""
