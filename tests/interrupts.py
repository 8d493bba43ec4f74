"""Ctrl-C for a command that a test starts."""

import signal


def hear() -> None:
    """In a child before it starts: an interrupt ends it, even where the tests themselves run ignoring theirs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
