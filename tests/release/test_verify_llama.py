"""A real server that shares no code with this project: llama.cpp's, with a model that was written as GGUF."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from families import build
from served import merged

import affina
from affina.core.errors import Refused
from affina.core.example import Text
from affina.core.kinds import Sampling
from affina.engine.remote import remote
from affina.release.exports.gguf import Gguf
from affina.release.verify import Strictness
from affina.training.embedded import Where

pytestmark = pytest.mark.slow
SERVER = """
import sys, time, xllamacpp
given = xllamacpp.CommonParams()
given.model.path, given.n_ctx, given.n_parallel, given.port, given.warmup = sys.argv[1], 512, 1, 0, False
given.n_gpu_layers = 0
server = xllamacpp.Server(given)
print(server.listening_address, flush=True)
sys.stdin.read()
"""


@contextmanager
def llama_server(file: Path) -> Iterator[str]:
    """The URL of llama.cpp's server with the file's model, in a process of its own."""
    started = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert started.stdout is not None
        url = next(line.strip() for line in started.stdout if line.startswith("http"))
        yield f"{url}/v1"
    finally:
        started.kill()
        started.communicate()


def written(base: Path, folder: Path) -> Path:
    folder.mkdir()
    Gguf(type="f16").write(merged(base), folder)
    return next(folder.glob("*.gguf"))


def test_llama_cpps_server_is_proven_and_other_weights_in_it_are_found(tmp_path: Path) -> None:
    base, other = build("llama", tmp_path / "base"), build("llama", tmp_path / "other", initializer_range=0.05)
    where, few = Where(tmp_path, offline=True), Strictness(items=2)
    with llama_server(written(base, tmp_path / "gguf")) as url:
        found = affina.verify(str(base), url, strictness=few, where=where)
        states = {each["name"]: each["state"] for each in found["checks"]}
        assert found["agrees"], found["checks"]
        assert states["template"] == states["weights"] == states["answers"] == states["log-probabilities"] == "agrees"
        assert not affina.verify(str(other), url, strictness=few, where=where)["agrees"]
        model = remote(url, offline=True)
        prompt = model.renderer.continued("Please send me")
        assert "".join(model.stream(prompt, Sampling(8))) == model.sample([prompt], Sampling(8))[0].text
        with pytest.raises(Refused):
            model.score(model.renderer.rows([Text(id="text", text="Please send me a new card.")]))
