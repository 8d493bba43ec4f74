"""The golden recipes are listed among the benchmarks; here they are imported from there."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
