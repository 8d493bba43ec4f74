"""Prompts by name: one file each, read by `affina/data/prompt.py`."""
