"""What `affina train` imports before its first step, and how transformers is imported for it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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

def first_step(batches):
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
known = transformers.models._class_to_module
print(json.dumps([seen, is_scipy_available(), len(files), sorted(known.items())]))
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


def imported(script: str, *arguments: str) -> Any:
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_until_the_first_step_nothing_is_imported_that_the_run_does_not_use(tmp_path: Path, chat_model: Path) -> None:
    asked = recipe(data(tmp_path), chat_model)
    affina.check(asked)  # the data are prepared: a warm start is looked at
    modules = imported(FIRST_STEP, str(asked), str(tmp_path / "runs"))
    assert "affina.engine.torch.step" in modules
    assert not {*UNUSED} & {*modules}


def test_transformers_is_imported_without_scipy_and_looked_through_once_and_is_otherwise_the_same() -> None:
    spared, usual = (imported(IMPORTED.format(spare=spare)) for spare in (True, False))
    assert spared[:3] == [False, False, 1]
    assert usual[:3] == [True, True, 2]
    assert spared[3] == usual[3]


def test_torchs_compiler_comes_when_something_is_compiled() -> None:
    assert imported(COMPILED) == [False, True, True, True]


def test_a_release_that_asks_more_of_the_compiler_than_marks_gets_it() -> None:
    assert imported(ASKED) == [True, False]
