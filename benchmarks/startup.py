"""Start-up: seconds from `affina train` to its first step with everything cached, and of `import affina`.

    python benchmarks/startup.py --repeat 3

A recipe on the example intents is trained until its first step is done, which fills the caches; then again `--repeat`
times under other names in other processes. Prints one JSON line: `first_step_s` is from the process's start to the
start of step 1, `net_s` the same without the proofs and the base's measurement where a run had to repeat them
(`repeated`); `before` is the first of the runs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from affina.core.run import Run

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "support_intents.csv"
IMPORT = "import time; began = time.perf_counter(); import affina; print(time.perf_counter() - began)"


def recipe(base: str) -> str:
    """LoRA on the example intents, to whose words the loss alone is measured."""
    plain = {
        "name": "startup",
        "model": {"base": base},
        "data": {"read": [str(EXAMPLES)], "shape": {"name": "labelled", "text": "message", "label": "intent"}},
        "train": {"steps": 100, "batch": 16},
        "evaluate": {"metrics": ["loss"]},
    }
    return json.dumps(plain)


def trained(folder: Path, name: str) -> dict[str, Any]:
    """One `affina train` in a process of its own, ended after step 1; where its time went until then, in seconds."""
    command = [sys.executable, "-m", "affina.cli.main", "train", str(folder / "startup.yaml"), "--run", name]
    began = time.time()
    run = Run(folder / "runs" / name)
    heard = folder / f"{name}.txt"
    with heard.open("w", encoding="utf-8") as file:
        process = subprocess.Popen([*command, "--root", str(folder / "runs")], stdout=file, stderr=file)
        while not (events := Run(run.folder).events("learn")):
            if process.poll() is not None:
                raise SystemExit(heard.read_text(encoding="utf-8"))
            time.sleep(0.05)
        process.kill()
        process.wait()
    said = heard.read_text(encoding="utf-8")
    first = events[0]["began"] - began
    proofs = sum(finding["seconds"] for finding in run.read("proofs.json")["findings"])
    repeated = {
        "proofs_s": 0.0 if "proofs: shown before" in said else proofs,
        "base_s": 0.0 if "base: measured before" in said else run.read("base.key.json")["seconds"],
    }
    return {"first_step_s": first, "net_s": first - sum(repeated.values()), **repeated}


def imported() -> float:
    """Seconds of `import affina` in a fresh process."""
    return float(subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--base", default="smollm2-135m-instruct")
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "startup.yaml").write_text(recipe(given.base), encoding="utf-8")
        load = round(os.getloadavg()[0], 2)
        before = trained(Path(folder), "first")
        warm = [trained(Path(folder), f"again-{number}") for number in range(given.repeat)]
    line = {
        "tool": "affina",
        "base": given.base,
        "first_step_s": [round(each["first_step_s"], 2) for each in warm],
        "median_first_step_s": round(statistics.median(each["first_step_s"] for each in warm), 2),
        "median_net_s": round(statistics.median(each["net_s"] for each in warm), 2),
        "repeated": {key: round(max(each[key] for each in warm), 2) for key in ("proofs_s", "base_s")},
        "before": {key: round(value, 2) for key, value in before.items()},
        "import_s": round(statistics.median(imported() for _ in range(5)), 4),
        "load_before": load,
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
