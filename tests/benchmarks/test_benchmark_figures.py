"""The arithmetic of the benchmarks: ratios, the floor, the additive table, a process tree's memory."""

import os
import subprocess
import sys
import time
from math import isclose
from typing import Any

import floor
import machine
import pytest
import sft
import table
import workload
from compare import disturbed, environments, ratios, unlike

from affina.core.recipe import Recipe

SHAPE = floor.Shape(hidden=8, inner=16, q=8, kv=4, vocabulary=100, layers=3)
WEIGHTS = 3 * (8 * 16 * 2 + 16 * 8 + 8 * 8 + 8 * 8 + 8 * 4 * 2)  # gate and up, down, q, o, k and v


def times(rate: float) -> floor.Times:
    return floor.Times.of(SHAPE, {**dict.fromkeys(SHAPE.products(), rate), "head": rate})


def test_at_one_rate_the_floor_is_operations_over_rate() -> None:
    work = floor.Work(tokens=10, targets=4, pairs=55, prefix=0)
    assert SHAPE.weights() == WEIGHTS
    found = floor.limits(SHAPE, work, times(1e6), batch=2, rank=1)
    operations = 4 * (10 * WEIGHTS + 4 * 8 * 100)  # 2 per weight forward, 2 for the gradient of the input
    assert isclose(found["products"], 10 * 1e6 / operations)
    assert isclose(found["full_products"], 10 * 1e6 / (1.5 * operations))
    assert isclose(found["shared"], found["products"])  # no prefix: nothing is saved
    attention = 12 * 3 * 8 * 55  # QKᵀ and PV, 2 operations each, three times over, per layer and width of all heads
    thin = 3 * (2 * (8 + 16) + (16 + 8) + 2 * (8 + 8) + 2 * (8 + 4))
    assert SHAPE.adapters(1) == thin
    assert isclose(found["lora"], 10 * 1e6 / (operations + attention + 6 * thin * 10))
    assert isclose(found["full"], 10 * 1e6 / (1.5 * operations + attention))


def test_a_shared_prefix_is_paid_once_a_batch() -> None:
    work = floor.Work(tokens=10, targets=0, pairs=0, prefix=9)
    alone, shared = (floor.limits(SHAPE, work, times(1e6), 4, 1)[name] for name in ("products", "shared"))
    assert isclose(shared / alone, 4 * 10 / (4 * 1 + 9))


def test_the_ratio_is_taken_pair_by_pair() -> None:
    sides = [({"rate": [1, 6, 8], "tree_gb": 2.0}, {"rate": 3, "tree_gb": 5.0})]
    sides += [
        ({"rate": 8, "tree_gb": 2.0}, {"rate": 2, "tree_gb": 6.0}),
        ({"rate": 9, "tree_gb": 4.0}, {"rate": 3, "tree_gb": 6.0}),
    ]
    found = ratios(sides, "rate")
    assert found["ratios"] == [2, 4, 3] and found["ratio"] == {"min": 2, "median": 3, "max": 4}
    assert (found["ours"], found["peer"], found["memory_ratio"]) == (8, 3, 2.5)


def test_only_the_peer_gets_the_allocator_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TOP_PAD_", "1")
    ours, peer = environments()
    assert "MALLOC_TOP_PAD_" not in ours and peer["MALLOC_TOP_PAD_"] == "268435456"


def test_a_run_beside_others_is_marked() -> None:
    quiet = {"step_s": [1.0] * 10, "others_cpu_s": 0.1, "steal_s": 0.0}
    assert not disturbed(quiet)
    assert disturbed({**quiet, "others_cpu_s": 10.0 * (os.cpu_count() or 1)})


def test_two_sides_whose_losses_are_far_apart_are_not_compared_in_silence() -> None:
    ours: dict[str, Any] = {"losses": [1.2, 1.3]}
    assert unlike([(ours, {"losses": [1.4, 1.3]}), (ours, {"losses": []})]) is None
    said = unlike([(ours, {"losses": [1.3, 1.2]}), (ours, {"losses": [10.7, 10.8]})])
    assert said is not None and "1.250 and 10.750" in said


def test_the_base_is_the_one_that_the_peers_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFINA_BENCH_MODEL", "/models/another")
    assert (given := workload.arguments("x").parse_args([])).base == "/models/another"
    assert workload.settings(given)["base"] == "another"
    monkeypatch.delenv("AFFINA_BENCH_MODEL")
    assert workload.arguments("x").parse_args([]).base == "smollm2-135m-instruct"


def test_each_row_of_the_table_adds_to_the_one_above_and_the_recipe_takes_every_setting() -> None:
    rows = table.rows()
    assert len(rows) == len(table.FEATURES) + 1
    for above, row, (_, on) in zip(rows, rows[1:], table.FEATURES, strict=False):
        assert {key for key in row.sets if row.sets[key] != above.sets[key]} == {*on}, row.name
        assert bool(on) == (row.environment == above.environment), row.name
    for row in (*rows, *(line for pair in table.PAIRS for line in pair)):
        recipe = Recipe.build({"name": "x", "model": {"base": "a"}, "data": {"read": "b"}})
        given = sft.arguments([each for each in table.command(sft.arguments([]), row) if each.startswith("--set=")])
        assert not row.sets or recipe.change(sft.changes(given)) != recipe


def test_every_line_of_the_table_is_of_the_base_and_batch_that_were_asked_for() -> None:
    given = sft.arguments(["--base=/another", "--batch=4"])
    for line in (*table.rows(), *(each for pair in table.PAIRS for each in pair)):
        made = table.command(given, line)
        assert {"--base=/another", "--batch=4"} <= {*made}
        assert ("--rows=32" in made) == line.epochs


def test_the_table_shows_medians_and_the_gain_over_its_first_row() -> None:
    def line(rate: float) -> dict[str, Any]:
        return {"real_tokens_per_s": rate, "tree_gb": 3.0, "losses": [2.0, 1.0], "validation_loss": 1.5}

    alone = {"real_tokens_per_s": 40.0}
    lines = {"off": [line(100), line(300), line(200)], "on": [line(500)], "said": [alone]}
    text = table.markdown([["off", "on"], ["said"]], lines)
    assert "| said | 40 | 40–40 | 1.00 | | | |" in text
    assert "| off | 200 | 100–300 | 1.00 | 3.00 | 1.0000 | 1.5000 |" in text
    assert "| on | 500 | 500–500 | 2.50 | 3.00 | 1.0000 | 1.5000 |" in text


def test_steps_are_timed_from_end_to_end() -> None:
    clock = sft.Clock()
    clock.progress("proofs", 1, 1)
    assert clock.ends_s == []
    clock.ends_s, clock.faults = [10.0, 12.0, 15.0], [5, 7, 8]
    assert clock.steps_s(4.0) == [4.0, 2.0, 3.0] and clock.faults_per_step() == [2, 1]
    clock.progress("training", 4, 4)
    assert len(clock.ends_s) == len(clock.faults) == 4


def test_a_childs_memory_counts_in_its_tree() -> None:
    held = "held = bytearray(b'x') * 200_000_000; print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", held], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        memory = machine.TreeMemory(os.getpid(), pause_s=0.01)
        assert child.stdout.readline() == "held\n"
        memory.start()
        assert child.pid in machine.tree(os.getpid())
        while not memory.peak_kb:
            time.sleep(0.005)
        own_gb = machine.resident_kb(os.getpid()) / machine.KB_PER_GB
        child.stdin.write("\n")
        child.stdin.close()
        child.wait()
    assert memory.end() >= own_gb + 0.18
    assert machine.resident_kb(child.pid) == 0


def test_the_last_json_line_of_a_benchmark_is_its_figures() -> None:
    program = "print('words'); print('{\"peak_rss_gb\": 7.5}')"
    assert machine.measured([sys.executable, "-c", program], os.environ)["tree_gb"] == 7.5
    with pytest.raises(SystemExit, match="ended with 3:\nwhy"):
        machine.measured([sys.executable, "-c", "import sys; sys.stderr.write('why'); sys.exit(3)"], os.environ)
