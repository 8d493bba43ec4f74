"""A copy of runs and releases on an MLflow server, by its REST interface. What is there already is not sent twice."""

import base64
import http.client
import json
import math
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affina.core.address import NAMED, filled, literal_secret
from affina.core.errors import Failed, Refused
from affina.core.run import Run

if TYPE_CHECKING:
    from affina.store.versions import Version

EXPERIMENT = "affina"
WAIT_S = 30
METRICS, PARAMETERS = 1000, 100
"""How many a request takes."""
LONGEST = 500
"""Letters of a setting that are kept: every version of MLflow takes so many."""
ODD = re.compile(r"[^\w.\- ]")
"""What no name of a setting or a number may have, and the sign that would make a path of it."""
KEY, SHORT = 200, 16
"""Letters of a name that are kept, and how many of these tell a cut one from others."""
WEIGHTS, ID, STAGE = "affina.weights", "affina.id", "affina.stage"
"""Tags by which a run, a release and its stage are found again."""


def server(url: str) -> "Server | None":
    """The server at this URL, or at AFFINA_MLFLOW; None without either. Raises Refused for one that does not answer."""
    given = url or os.environ.get("AFFINA_MLFLOW", "")
    if not given:
        return None
    found = Server(given)
    found.ask("GET", "experiments/search", {"max_results": 1})
    return found


class Server:
    """An MLflow server; secrets in its URL stand as `${NAME}`, and MLFLOW_TRACKING_TOKEN or MLFLOW_TRACKING_USERNAME
    and MLFLOW_TRACKING_PASSWORD are sent where they are set."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")) and not NAMED.fullmatch(url):
            raise Refused(f"'{url}' is no MLflow server's URL", instead="write it as http://host:5000")
        if literal_secret(url):
            raise Refused("a password is written out in the MLflow server's URL", instead="write ${NAME} in its place")
        from affina.core.login import values_of  # which loads SQLAlchemy, of no use to a run that is sent nowhere

        self.url, self._values = url, values_of(url)

    def run(self, run: Run) -> str:
        """The run's settings, metrics step by step and verdict; its id there."""
        lock, result = run.read("lock.json"), run.read("result.json")
        experiment = self._experiment()
        if there := self._run(experiment, result["weights_sha256"]):
            return there
        events = run.events()
        began = [round(1000 * each["began"]) for each in events if "began" in each] or [0]
        tags = {WEIGHTS: result["weights_sha256"], "affina.run": run.name}
        tags |= {"affina.verdict": result["verdict"]["decision"], "affina.base": lock["base"]["reference"]}
        tags |= {f"affina.data.{place}": f"{name} {of}" for place, (name, of) in enumerate(lock["data"].items())}
        made = {"experiment_id": experiment, "run_name": run.name, "start_time": began[0], "tags": _listed(tags)}
        id = str(self.ask("POST", "runs/create", made)["run"]["info"]["run_id"])
        settings = [{"key": key, "value": value} for key, value in _flat(lock["recipe"])]
        for part in _parts(settings, PARAMETERS):
            self.ask("POST", "runs/log-batch", {"run_id": id, "params": part})
        for part in _parts([*_metrics(events), *_ends(result, began[-1])], METRICS):
            self.ask("POST", "runs/log-batch", {"run_id": id, "metrics": part})
        self.ask("POST", "runs/update", {"run_id": id, "status": "FINISHED", "end_time": began[-1]})
        return id

    def release(self, version: "Version", folder: Path, weights: str) -> None:
        """A version of a registered model, bound to its run by the hash of the weights."""
        if self._version(version):
            return
        self.ask("POST", "registered-models/create", {"name": version.release}, there="RESOURCE_ALREADY_EXISTS")
        tags = {ID: version.digest, "affina.version": str(version.number), STAGE: version.stage}
        run = self._run(self._experiment(), weights)
        source = f"affina://{version.release}/{version.digest}"
        asked = {"name": version.release, "source": source, "run_id": run, "tags": _listed(tags)}
        self.ask("POST", "model-versions/create", {**asked, "description": f"affina {version.name}, {folder}"})

    def stage(self, version: "Version", left: "Version | None" = None) -> None:
        """Points the alias `live` or `canary` at the version; `left`, which stood there, is marked as what it is now.
        Raises Failed for one that was never mirrored."""
        number = self._version(version)
        if not number:
            what = f"{version.name} is {version.stage}, but the MLflow server does not know it"
            raise Failed(what, instead=f"`affina release {version.run} --name {version.release} --mlflow URL` sends it")
        asked = {"name": version.release, "version": number}
        self.ask("POST", "registered-models/alias", {**asked, "alias": version.stage})
        self.ask("POST", "model-versions/set-tag", {**asked, "key": STAGE, "value": version.stage})
        known = self.ask("GET", "model-versions/get", asked)["model_version"]
        if version.stage == "live" and "canary" in known.get("aliases", []):
            self.ask("DELETE", "registered-models/alias", {"name": version.release, "alias": "canary"})
        if left and (before := self._version(left)):
            marked = {"name": left.release, "version": before, "key": STAGE, "value": left.stage}
            self.ask("POST", "model-versions/set-tag", marked)

    def ask(self, how: str, path: str, plain: Mapping[str, Any], there: str = "") -> Any:
        """One request. `there`: the server's word for what is there already, which is no error."""
        body = None if how == "GET" else json.dumps(plain).encode()
        asked = f"?{urllib.parse.urlencode(plain)}" if how == "GET" else ""
        try:
            place, login = _parted(self.url, self._values)
            headers = {"Content-Type": "application/json", **(login or _login())}
            request = urllib.request.Request(f"{place}/api/2.0/mlflow/{path}{asked}", body, headers, method=how)
            with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            if there and there in said:
                return {}
            raise self._refusal(f"{error.code} {said}") from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self._refusal(str(getattr(error, "reason", error))) from error

    def _refusal(self, said: str) -> Refused:
        from affina.core.login import without

        short = " ".join(without(said, self._values).split())[:300]
        return Refused(f"the MLflow server {self.url} does not take it", short, "check the URL, or leave out --mlflow")

    def _experiment(self) -> str:
        found = self.ask("POST", "experiments/search", {"max_results": 1, "filter": f"name = '{EXPERIMENT}'"})
        if known := found.get("experiments"):
            return str(known[0]["experiment_id"])
        return str(self.ask("POST", "experiments/create", {"name": EXPERIMENT})["experiment_id"])

    def _run(self, experiment: str, weights: str) -> str:
        """The finished run with these weights; one whose sending was interrupted does not count."""
        wanted = f"tags.`{WEIGHTS}` = '{weights}' and attributes.status = 'FINISHED'"
        asked = {"experiment_ids": [experiment], "filter": wanted, "max_results": 1}
        found = self.ask("POST", "runs/search", asked).get("runs") or []
        return str(found[0]["info"]["run_id"]) if found else ""

    def _version(self, version: "Version") -> str:
        wanted = f"name = '{version.release}' and tags.`{ID}` = '{version.digest}'"
        found = self.ask("GET", "model-versions/search", {"filter": wanted, "max_results": 1})
        known = found.get("model_versions") or []
        return str(known[0]["version"]) if known else ""


def _parted(url: str, values: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """A URL with its values but without its login, and the header that says this instead."""
    quoted = {name: urllib.parse.quote(value, safe="") for name, value in values.items()}
    parts = urllib.parse.urlsplit(filled(url, values if NAMED.fullmatch(url) else quoted).rstrip("/"))
    login, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=host).geturl(), _basic(urllib.parse.unquote(login)) if at else {}


def _basic(login: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def _login() -> dict[str, str]:
    token, user = os.environ.get("MLFLOW_TRACKING_TOKEN"), os.environ.get("MLFLOW_TRACKING_USERNAME")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user:
        return _basic(f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}")
    return {}


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _flat(found: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Dotted settings and their values, as text."""
    if isinstance(found, Mapping) and found:
        for key, value in found.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield _key(name), (found if isinstance(found, str) else json.dumps(found))[:LONGEST]


def _metrics(events: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every number of every event, at its step and time."""
    at = 0
    for event in events:
        at = round(1000 * event["began"]) if "began" in event else at
        for key, value in event.items():
            if key not in ("step", "kind", "began") and isinstance(value, int | float) and math.isfinite(value):
                name = f"{event['kind']}/{_key(key)}"
                yield {"key": name, "value": value, "timestamp": at, "step": event["step"]}


def _ends(result: Mapping[str, Any], at: int) -> Iterator[dict[str, Any]]:
    """What the test split showed, of the base and of what was tuned."""
    for name, found in result["metrics"].items():
        for who in ("base", "tuned"):
            if isinstance(found[who], int | float) and math.isfinite(found[who]):
                yield {
                    "key": f"test/{who}/{_key(name)}",
                    "value": found[who],
                    "timestamp": at,
                    "step": result["best_step"],
                }


def _key(name: str) -> str:
    """A name as MLflow takes one: a label or a group in it may have any signs, and be long."""
    plain = ODD.sub(lambda found: f"_x{ord(found[0]):x}_", name)
    return plain if len(plain) <= KEY else f"{plain[: KEY - SHORT]}{sha256(name.encode()).hexdigest()[:SHORT]}"


def _parts(found: Sequence[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(found), size):
        yield [*found[start : start + size]]
