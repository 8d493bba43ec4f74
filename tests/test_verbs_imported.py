"""A verb's first import is not slowed by garbage collection, and leaves it as it was."""

import subprocess
import sys

import pytest

SCRIPT = """
import gc, affina
if {off}: gc.disable()
passes = []
gc.callbacks.append(lambda phase, info: passes.append(phase))
affina.Recipe
gc.callbacks.clear()
print(len(passes), gc.isenabled(), gc.get_freeze_count())
"""


@pytest.mark.parametrize("off", [False, True])
def test_the_first_import_collects_nothing_and_restores_collection(off: bool) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(off=off)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", str(not off), "0"]  # what a program made before may still be let go
