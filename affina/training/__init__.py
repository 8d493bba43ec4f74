"""The one loop, and what varies in it."""
