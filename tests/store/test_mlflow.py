"""Runs and releases on a real MLflow server, in an environment of its own: MLflow is no dependency of affina."""

import base64
import http.server
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from environments import own_python
from tiny import Finished

from affina.core.errors import Failed, Refused
from affina.core.run import Run
from affina.release.release import Wish, release
from affina.release.stages import promote, rollback
from affina.store.mlflow import Server, server
from affina.store.place import Place

VERSION = "3.17.2"
HERE = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


@pytest.fixture(scope="module")
def environment(pytestconfig: pytest.Config) -> Path:
    """MLflow's own Python."""
    return own_python(pytestconfig, "mlflow", VERSION)


@pytest.fixture(scope="module")
def url(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [str(environment), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    log = (folder / "log").open("w")
    outside = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=outside | HERE, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 180
        while not _up(address):
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.3)
        yield address
    finally:
        os.killpg(process.pid, 9)
        process.wait(timeout=30)
        log.close()


def _up(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def asked(url: str, how: str, path: str, **plain: Any) -> Any:
    return Server(url).ask(how, path, plain)


def staged(url: str) -> dict[str, tuple[str, list[str]]]:
    """By version of `intents`, the stage that its tag says and the aliases that point at it."""
    found = {}
    for each in asked(url, "GET", "model-versions/search", filter="name = 'intents'")["model_versions"]:
        whole = asked(url, "GET", "model-versions/get", name="intents", version=each["version"])["model_version"]
        tags = {tag["key"]: tag["value"] for tag in whole["tags"]}
        found[tags["affina.version"]] = (tags["affina.stage"], list(whole.get("aliases", [])))
    return found


@pytest.mark.slow
def test_names_with_any_signs_in_them_are_taken(url: str, finished: Finished, tmp_path: Path) -> None:
    """Groups of a step and labels among the settings are whatever the data say."""
    shutil.copytree(finished("labels").folder, tmp_path / "runs" / "odd")
    run = Run(tmp_path / "runs" / "odd")
    odd = ('R&D, the "rest"', "a//b", "../up", "città (è)", "x" * 600, "x" * 599 + "y")
    events = [each | {f"group loss of {name}": 0.5 for name in odd} for each in run.events()]
    run.write("events.jsonl", "".join(json.dumps(each) + "\n" for each in events))
    lock = run.read("lock.json")
    lock["recipe"]["objective"] = {"name": "classify", "class_weights": dict.fromkeys(odd, 2.0)}
    run.write("lock.json", lock)
    run.write("result.json", {**run.read("result.json"), "weights_sha256": "1" * 64})
    id = Server(url).run(Run(run.folder))
    data = asked(url, "GET", "runs/get", run_id=id)["run"]["data"]
    assert len([each for each in data["metrics"] if "group loss of" in each["key"]]) == len(odd) * len(
        {each["kind"] for each in events}
    )
    assert len([each for each in data["params"] if "class_weights" in each["key"]]) == len(odd)


@pytest.mark.slow
def test_a_run_its_metrics_and_its_release_stand_on_the_server(url: str, finished: Finished, tmp_path: Path) -> None:
    shutil.copytree(finished("labels").folder, tmp_path / "runs" / "labels")
    place, run = Place(tmp_path / "runs", by="anna"), Run(tmp_path / "runs" / "labels")
    result = run.read("result.json")
    release("labels", Wish("intents", mlflow=url), place)
    release("labels", Wish("intents", mlflow=url), place)  # nothing is sent twice
    experiment = asked(url, "GET", "experiments/get-by-name", experiment_name="affina")["experiment"]
    wanted = {"experiment_ids": [experiment["experiment_id"]], "filter": "attributes.run_name = 'labels'"}
    (found,) = asked(url, "POST", "runs/search", **wanted)["runs"]
    data = found["data"]
    assert (found["info"]["run_name"], found["info"]["status"]) == ("labels", "FINISHED")
    settings = {each["key"]: each["value"] for each in data["params"]}
    assert (settings["train.learning_rate"], settings["tuning.name"]) == ("0.01", "lora")
    last = {each["key"]: each["value"] for each in data["metrics"]}
    assert last["test/tuned/accuracy"] == result["metrics"]["accuracy"]["tuned"]
    key = {"run_id": found["info"]["run_id"], "metric_key": "learn/loss"}
    history = asked(url, "GET", "metrics/get-history", **key)["metrics"]
    told = [(event["step"], event["loss"]) for event in run.events("learn")]
    assert [(each["step"], each["value"]) for each in history] == told
    tags = {each["key"]: each["value"] for each in data["tags"]}
    assert tags["affina.weights"] == result["weights_sha256"] and tags["affina.verdict"] == "promote"
    (version,) = asked(url, "GET", "model-versions/search", filter="name = 'intents'")["model_versions"]
    assert version["run_id"] == found["info"]["run_id"]

    release("labels", Wish("intents", system="be brief", mlflow=url), place)
    promote("intents@1", place=place, mirror=url)
    promote("intents@2", "canary", place=place, mirror=url)
    assert staged(url) == {"1": ("live", ["live"]), "2": ("canary", ["canary"])}
    promote("intents@2", place=place, mirror=url)
    assert staged(url) == {"1": ("retired", []), "2": ("live", ["live"])}
    alias = {"name": "intents", "alias": "live"}
    newest = asked(url, "GET", "registered-models/alias", **alias)["model_version"]
    assert {each["key"]: each["value"] for each in newest["tags"]}["affina.version"] == "2"
    rollback("intents", place=place, mirror=url)
    assert staged(url) == {"1": ("live", ["live"]), "2": ("retired", [])}
    assert asked(url, "GET", "registered-models/alias", **alias)["model_version"]["version"] == version["version"]

    release("labels", "unknown", place)
    with pytest.raises(Failed, match=r"unknown@1 is live, but the MLflow server does not know it. `affina release lab"):
        promote("unknown", place=place, mirror=url)


def test_a_login_in_the_url_is_said_as_a_header_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []

    class Listening(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append((self.headers["Authorization"], self.headers["Host"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    monkeypatch.setenv("PASSWORD", "s3cr:t/@ word")
    with http.server.HTTPServer(("127.0.0.1", 0), Listening) as listening, ThreadPoolExecutor(1) as pool:
        pool.submit(listening.handle_request)
        port = listening.server_port
        assert server(f"http://anna:${{PASSWORD}}@127.0.0.1:{port}") is not None
    assert heard == [("Basic " + base64.b64encode(b"anna:s3cr:t/@ word").decode(), f"127.0.0.1:{port}")]
    for host in ("127.0.0.1:x", "[::", "a b"):
        with pytest.raises(Refused, match=r"the MLflow server .* does not take it") as refused:
            server(f"http://anna:${{PASSWORD}}@{host}")
        assert "s3cr" not in str(refused.value)


def test_a_server_that_does_not_answer_is_refused_before_anything_is_done(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished("labels").folder, tmp_path / "runs" / "labels")
    place = Place(tmp_path / "runs")
    sentence = r"the MLflow server http://127.0.0.1:9 does not take it: .*refused. check the URL"
    with pytest.raises(Refused, match=sentence):
        release("labels", Wish("intents", mlflow="http://127.0.0.1:9"), place)
    assert not place.folder.exists()
    monkeypatch.setenv("AFFINA_MLFLOW", "http://127.0.0.1:9")
    with pytest.raises(Refused, match=sentence):
        server("")


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://host", "is no MLflow server's URL"),
        ("http://anna:secret@host", "a password is written out"),
        ("http://anna:${NOT_SET_HERE}@host", "NOT_SET_HERE is not set"),
    ],
)
def test_an_url_that_cannot_be_one_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence) as refused:
        server(url)
    assert "secret" not in str(refused.value)


def test_without_an_url_there_is_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AFFINA_MLFLOW", raising=False)
    assert server("") is None
