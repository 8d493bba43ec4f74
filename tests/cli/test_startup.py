"""What `affina train` imports before its first step, and how transformers is imported for it."""

import json
import marshal
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import data, environment, recipe

import affina

UNUSED = (
    "scipy", "sklearn", "pandas", "peft", "rich", "sqlalchemy", "gguf", "transformers.trainer",
    "torch._dynamo.eval_frame", "torch.distributed.tensor", "sympy", "affina.training.conclude",
    "affina.evaluation.statistics",
)  # fmt: skip
FIRST_STEP = """
import json, os, sys
import affina.training.ahead
from affina.cli.main import main

def first_step(batches, depth):
    print(json.dumps([*sys.modules]), flush=True)
    os._exit(0)

affina.training.ahead.ahead = first_step
main(["train", sys.argv[1], "--root", sys.argv[2]])
"""
IMPORTED = """
import json, sys
from contextlib import nullcontext
from affina.engine.torch.imports import sparing

looked = []
sys.addaudithook(lambda event, given: looked.append(given[0]) if event == "open" else None)
with sparing() if {spare} else nullcontext():
    from transformers import AttentionInterface, AutoModel
    import transformers.models
    seen = "scipy.optimize" in sys.modules
files = [each for each in looked if isinstance(each, str) and each.endswith("modeling_gpt2.py")]
import scipy.optimize
from transformers.utils import is_scipy_available
known = sorted(transformers.models._class_to_module.items()), sorted(transformers._class_to_module.items())
print(json.dumps([seen, is_scipy_available(), len(files), *known]))
"""
FREED = """
import os
from affina.cli.runtime import prepare

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

prepare()
before, held = resident(), bytearray(b"x") * 100_000_000
del held
print(resident() - before > 90_000_000)
"""
COMPILED = """
import json, sys
from affina.engine.torch.imports import sparing

with sparing():
    import transformers.models.llama.modeling_llama as llama
    before = "torch._dynamo.eval_frame" in sys.modules
import torch
from transformers import LlamaConfig

sizes = dict(hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2)
torch.manual_seed(0)
model = llama.LlamaForCausalLM(LlamaConfig(vocab_size=50, **sizes)).eval()
tokens, seen = torch.arange(8).view(2, 4), torch.tensor([[1, 1, 1, 1], [0, 1, 1, 1]])
with torch.no_grad():
    plain = model(tokens, attention_mask=seen).logits
    compiled = torch.compile(model, backend="eager")(tokens, attention_mask=seen).logits
after = "torch._dynamo.eval_frame" in sys.modules
print(json.dumps([before, after, torch.distributed.is_available(), plain.tolist() == compiled.tolist()]))
"""
ASKED = """
import json, sys
from affina.engine.torch import imports

imports.MARKS = ()
with imports.sparing():
    import transformers.models.llama.modeling_llama
print(json.dumps(["torch._dynamo.eval_frame" in sys.modules, "scipy.optimize" in sys.modules]))
"""


def imported(script: str, *arguments: str, cache: Path | None = None) -> Any:
    where = {"AFFINA_CACHE": str(cache)} if cache else {}
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(**where))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_until_the_first_step_nothing_is_imported_that_the_run_does_not_use(tmp_path: Path, chat_model: Path) -> None:
    asked = recipe(data(tmp_path), chat_model)
    affina.check(asked)  # the data are prepared: a warm start is looked at
    modules = imported(FIRST_STEP, str(asked), str(tmp_path / "runs"))
    assert "affina.engine.torch.step" in modules
    assert not {*UNUSED} & {*modules}


def test_transformers_is_imported_without_scipy_listed_once_for_all_and_otherwise_the_same(
    tmp_path: Path,
) -> None:
    first, again, usual = (imported(IMPORTED.format(spare=spare), cache=tmp_path) for spare in (True, True, False))
    assert first[:3] == [False, False, 1]
    assert again[:3] == [False, False, 0]
    assert usual[:3] == [True, True, 2]
    assert first[3:] == again[3:] == usual[3:]


@pytest.mark.parametrize("bad", [b"", b"[]", marshal.dumps(0)[:-1], marshal.dumps(None), marshal.dumps({})])
def test_a_listing_that_was_not_kept_whole_is_made_again(tmp_path: Path, bad: bytes) -> None:
    usual = imported(IMPORTED.format(spare=True), cache=tmp_path)
    (kept,) = (tmp_path / "transformers").iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(bad)
    assert imported(IMPORTED.format(spare=True), cache=tmp_path) == usual
    assert marshal.loads(kept.read_bytes()) == marshal.loads(whole)


def test_without_a_cache_transformers_is_listed_every_time(tmp_path: Path) -> None:
    (tmp_path / "transformers").write_text("a file where a folder was to be")
    assert [imported(IMPORTED.format(spare=True), cache=tmp_path)[2] for _ in range(2)] == [1, 1]


def test_torchs_compiler_comes_when_something_is_compiled() -> None:
    assert imported(COMPILED) == [False, True, True, True]


def test_a_release_that_asks_more_of_the_compiler_than_marks_gets_it() -> None:
    assert imported(ASKED) == [True, False]


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator is the C library's of Linux")
def test_freed_memory_stays_with_the_process_unless_the_allocator_is_to_be_plain() -> None:
    for more, stays in (({}, "True"), ({"AFFINA_ALLOCATOR": "plain"}, "False")):
        own = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")}
        done = subprocess.run([sys.executable, "-c", FREED], env=own | more, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == stays, more
