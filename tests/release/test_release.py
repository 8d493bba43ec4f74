"""One artefact: what it holds, that it answers as its run did, and that a changed one is refused."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tiny import Finished, chat_base, conversations, recipe, tickets

import affina
from affina.core.atomic import MANIFEST, sha256
from affina.core.errors import AffinaError, Failed, Refused
from affina.core.run import Run
from affina.core.say import Silent
from affina.evaluation.open import open_model
from affina.release.artefact import alone
from affina.release.release import Wish, release
from affina.release.stages import approve, lineage, promote, releases, rollback
from affina.store.artefact import verify
from affina.store.place import Place

FEW = {"steps": 3}


def copied(run: Run, folder: Path) -> Place:
    """A root of its own with a copy of a run in it."""
    shutil.copytree(run.folder, folder / "runs" / run.name)
    return Place(folder / "runs", by="anna")


def live(name: str, place: Place) -> Path | None:
    """The folder of the version that is live; None where none is."""
    found = place.open().live(name)
    return place.of(found) if found else None


def judged(place: Place, name: str, decision: str) -> None:
    """The run as if its verdict had been another."""
    run = Run(Path(place.root) / name)
    result = run.read("result.json")
    run.write("result.json", {**result, "verdict": {**result["verdict"], "decision": decision}})


def test_a_release_holds_all_that_answering_takes_and_every_file_is_hashed(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("chats"), tmp_path)
    made = release("chats", "parcels", place)
    folder, run = Path(made["folder"]), finished("chats")
    held = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"recipe.yaml", "lock.json", "ledger.json", "release.json", "model/adapter_model.safetensors"} <= held
    assert {"tokenizer/tokenizer.json", "tokenizer/chat_template.jinja", "card/card.md", "card/card.json"} <= held
    named = json.loads((folder / MANIFEST).read_text())
    assert {*named} == {name for name in held if not name.startswith("card/")} - {MANIFEST}
    assert all(sha256(folder / name) == digest for name, digest in named.items())
    assert made["id"] == sha256(folder / MANIFEST) and folder.name == made["id"][:16]
    about = json.loads((folder / "release.json").read_text())
    assert about["stops"] == {"1": "<|im_end|>"}
    assert about["template"]["rendered"][0]["text"] == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    assert about["run"]["weights_sha256"] == run.read("result.json")["weights_sha256"]
    assert about["data"] == run.read("lock.json")["data"]
    assert not [name for name in held if "optimizer" in name or "samples" in name or "quarantine" in name]


def test_releasing_again_is_the_same_version(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    first, again = release("labels", "intents", place), release("labels", "intents", place)
    assert first == again
    assert [each["version"] for each in releases("intents", place)["releases"]] == [1]


@pytest.mark.parametrize(
    "kind", ["labels", *(pytest.param(each, marks=pytest.mark.slow) for each in ("chats", "full"))]
)
def test_a_release_answers_as_its_run_to_the_bit(kind: str, finished: Finished, tmp_path: Path) -> None:
    place = copied(finished(kind), tmp_path)
    made = release(kind, "one", place)
    root = Path(place.root)
    before = affina.evaluate(kind, root=root)["metrics"]
    for reference in ("one", "one@1", made["folder"]):
        found = affina.evaluate(reference, root=root)
        assert found["metrics"] == before
    assert affina.generate("one", ["where is it"], root=root) == [
        {**each, "prompt": "where is it"} for each in affina.generate(kind, ["where is it"], root=root)
    ]
    same = affina.compare(kind, "one", root=root)["metrics"]
    assert all(each["a"] == each["b"] for each in same.values())


@pytest.mark.slow
def test_a_whole_model_needs_no_base_and_an_adapter_says_that_its_base_is_gone(tmp_path: Path) -> None:
    base = chat_base(tmp_path / "base")
    tickets(tmp_path)
    for name, sections in (("whole", {"tuning": "full"}), ("adapter", {})):
        affina.train(
            recipe(tmp_path, base, objective="classify", train=FEW, **sections), run=name, root=tmp_path / "runs"
        )
        release(name, name, Place(tmp_path / "runs"))
    before = affina.evaluate("whole@1", root=tmp_path / "runs")["metrics"]
    shutil.rmtree(base)
    assert affina.evaluate("whole@1", root=tmp_path / "runs")["metrics"] == before
    sentence = r"release adapter@1 cannot be opened without its base: it holds what was learnt on .*base, which is gone"
    with pytest.raises(Refused, match=sentence):
        affina.evaluate("adapter@1", root=tmp_path / "runs")


@pytest.mark.slow
def test_the_system_prompt_of_the_data_goes_with_the_release(finished: Finished, tmp_path: Path) -> None:
    base = chat_base(tmp_path / "base")
    lines = [json.loads(line) for line in conversations(tmp_path).read_text().splitlines()]
    system = {"role": "system", "content": "you track parcels"}
    text = "".join(json.dumps({"messages": [system, *line["messages"]]}) + "\n" for line in lines)
    (tmp_path / "chats.jsonl").write_text(text)
    affina.train(recipe(tmp_path, base, "chats.jsonl", train=FEW), run="r", root=tmp_path / "runs")
    place = Place(tmp_path / "runs")
    made = release("r", "parcels", place)
    assert json.loads((Path(made["folder"]) / "release.json").read_text())["system"] == "you track parcels"
    opened = open_model("parcels", tmp_path / "runs", False, Silent())
    asked: Any = opened.ask("where is it")
    assert [(each.role, each.content) for each in asked.messages[:2]] == [
        ("system", "you track parcels"),
        ("user", "where is it"),
    ]
    given = release("r", Wish("parcels", system="be brief"), place)
    assert given["version"] == 2
    (tmp_path / "chats.jsonl").write_text(text + text)
    with pytest.raises(Refused, match=r"the system prompt of run 'r' is not known: its data have changed"):
        release("r", "parcels", place)
    assert release("r", Wish("parcels", system="be brief"), place)["version"] == 2


def test_a_run_without_a_verdict_is_refused(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    run = Run(tmp_path / "runs" / "labels")
    run.write("state.json", {"state": "training"})
    with pytest.raises(Refused, match=r"run 'labels' has no verdict: it is interrupted. train it to its end"):
        release("labels", "intents", place)
    run.write("state.json", {"state": "finished"})
    run.write("result.json", {**run.read("result.json"), "verdict": None})
    with pytest.raises(Refused, match="has no verdict"):
        release("labels", "intents", place)
    with pytest.raises(Refused, match=r"no run is called 'lables'.*did you mean 'labels'"):
        release("lables", "intents", place)
    with pytest.raises(Refused, match="a release cannot be called"):
        release("labels", "../up", place)
    assert not place.folder.exists()


@pytest.mark.parametrize("file", ["model/adapter_model.safetensors", "checkpoints/step-00000008/trained.safetensors"])
def test_a_run_whose_files_are_damaged_is_not_released(file: str, finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    path = tmp_path / "runs" / "labels" / file
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Failed, match="run 'labels' cannot be released"):
        release("labels", "intents", place)


def test_weights_that_the_verdict_is_not_about_are_not_released(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    run = Run(tmp_path / "runs" / "labels")
    run.write("result.json", {**run.read("result.json"), "weights_sha256": "0" * 64})
    with pytest.raises(Failed, match="are not those that the verdict is about"):
        release("labels", "intents", place)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda folder: (folder / "lock.json").write_text("{}"), "lock.json was changed"),
        (lambda folder: (folder / "tokenizer" / "chat_template.jinja").unlink(), "chat_template.jinja is gone"),
        (lambda folder: (folder / "model" / "more.json").write_text("{}"), "model/more.json was added"),
        (lambda folder: (folder / "model" / "more").symlink_to(folder.parent), "model/more was added"),
        (lambda folder: (folder / "model" / "weights.bin").write_text(""), "model/weights.bin is a pickle"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), "manifest.json cannot be read"),
        (lambda folder: (folder / MANIFEST).write_text('{"release.json": "0"}'), "is not the one that was released"),
    ],
)
def test_a_tampered_release_is_refused_naming_the_file(
    change: Callable[[Path], Any], sentence: str, finished: Finished, tmp_path: Path
) -> None:
    place = copied(finished("labels"), tmp_path)
    made = release("labels", "intents", place)
    change(Path(made["folder"]))
    for asked in (
        lambda: affina.evaluate("intents", root=place.root),
        lambda: promote("intents", place=place),
    ):
        with pytest.raises(Refused, match=sentence):
            asked()
    assert live("intents", place) is None


def test_what_was_tampered_with_is_shown_and_rolled_back_from(finished: Finished, tmp_path: Path) -> None:
    """Its card stays as it was, since nothing is to be told from changed files."""
    place = copied(finished("labels"), tmp_path)
    release("labels", "intents", place)
    two = release("labels", Wish("intents", system="be brief"), place)
    for name in ("intents@1", "intents@2"):
        promote(name, place=place)
    (Path(two["folder"]) / "lock.json").write_text("{}")
    card = Path(two["card"]).read_text()
    assert [each["tampered"] for each in releases("intents", place)["releases"]] == [True, False]
    assert (rollback("intents", place=place)["version"], Path(two["card"]).read_text()) == (1, card)


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_folder_whose_own_words_are_damaged_is_refused_by_its_path(
    text: str, finished: Finished, tmp_path: Path
) -> None:
    place = copied(finished("labels"), tmp_path)
    folder = Path(release("labels", "intents", place)["folder"])
    (folder / "release.json").write_text(text)
    with pytest.raises(Refused, match=r"release\.json was changed"):
        affina.evaluate(str(folder), root=place.root)


def test_a_live_release_stays_where_it_is_when_its_run_is_released_again(finished: Finished, tmp_path: Path) -> None:
    """What is killed on the way, or read meanwhile, finds it whole."""
    place = copied(finished("labels"), tmp_path)
    folder = Path(release("labels", "intents", place)["folder"])
    promote("intents", place=place)
    there = {path: path.stat().st_ino for path in folder.rglob("*")}
    release("labels", "intents", place)
    assert {path: path.stat().st_ino for path in folder.rglob("*")} == there
    (folder / "lock.json").write_text("{}")
    assert release("labels", "intents", place)["version"] == 1
    verify(folder, place.open().version("intents").digest)


def test_a_reason_that_would_not_be_kept_is_refused(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    judged(place, "labels", "reject")
    release("labels", "intents", place)
    with pytest.raises(Refused, match=r"intents@1 is there already: it was released without a reason.*promote intents"):
        release("labels", Wish("intents", override="agreed"), place)
    for _ in range(2):  # as after an interruption
        assert release("labels", Wish("other", override="agreed"), place)["override"] == "agreed"


def test_what_is_no_text_is_refused(finished: Finished, tmp_path: Path) -> None:
    """Bytes of a command line that are no UTF-8 come as lone surrogates."""
    place = copied(finished("labels"), tmp_path)
    release("labels", "intents", place)
    with pytest.raises(Refused, match="cannot be kept: it is no text"):
        approve("intents", "caf\udce9", place=Place(place.root, by="bea"))
    with pytest.raises(Refused, match="names no release"):
        lineage("a" * 300, place)


def test_a_card_holds_what_another_process_decided_while_it_waited(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    made = release("labels", "intents", place)
    card, other = Path(made["card"]), Place(place.root, by="bea").open()
    card.write_text("all is well")
    with ThreadPoolExecutor(1) as pool:
        with alone(place.folder / "intents"):
            writing = pool.submit(releases, place=place)
            with pytest.raises(TimeoutError):
                writing.result(timeout=1)
            other.approve("intents@1", "looked at it")
        writing.result(timeout=30)
    assert "looked at it" in card.read_text()


def test_a_pickle_is_refused_though_the_manifest_names_it(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    folder = Path(release("labels", "intents", place)["folder"])
    (folder / "model" / "head.pkl").write_bytes(b"\x80\x04.")
    named = json.loads((folder / MANIFEST).read_text())
    named["model/head.pkl"] = sha256(folder / "model" / "head.pkl")
    (folder / MANIFEST).write_text(json.dumps(named))
    with pytest.raises(Refused, match=r"head.pkl is a pickle: loading it can run any code"):
        verify(folder)


def test_a_release_whose_folder_is_gone_is_told(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    shutil.rmtree(release("labels", "intents", place)["folder"])
    for asked in (lambda: promote("intents", place=place), lambda: affina.evaluate("intents", root=place.root)):
        with pytest.raises(Refused, match=r"release intents@1 is gone: there is no "):
            asked()
    assert [(each["gone"], each["tampered"]) for each in releases("intents", place)["releases"]] == [(True, False)]
    shutil.rmtree(place.folder / "intents")
    for name in ("intents", "intents@1"):
        with pytest.raises(Refused, match=r"release intents is gone: there is no .*/releases/intents\. restore"):
            affina.evaluate(name, root=place.root)


def test_a_rejected_run_is_promoted_with_a_reason_that_stands_on_the_card(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    judged(place, "labels", "reject")
    made = release("labels", "intents", place)
    with pytest.raises(Refused, match=r"the verdict on intents@1 is: reject: it can only be a candidate"):
        promote("intents", place=place)
    done = promote("intents", override="wanted <b>today</b>", place=place)
    assert done["stage"] == "live"
    text = Path(made["card"]).read_text()
    assert "**Overridden** by anna: wanted &lt;b&gt;today&lt;/b&gt;" in text
    assert "promote to live; override: wanted &lt;b&gt;today" in text
    plain = json.loads(Path(made["card"]).with_suffix(".json").read_text())
    assert plain["override"] == {"reason": "wanted <b>today</b>", "by": "anna"}
    assert releases("intents", place)["log"][-1]["detail"]["override"] == "wanted <b>today</b>"


def test_promote_and_rollback_change_what_a_name_means(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    one = release("labels", "intents", place)
    two = release("labels", Wish("intents", system="be brief"), place)
    assert promote("intents@1", place=place)["replaced"] is None
    assert promote("intents", place=place)["replaced"] == "intents@1"
    assert live("intents", place) == Path(two["folder"])
    done = rollback("intents", "slower", place)
    assert (done["version"], done["retired"]) == (1, "intents@2")
    assert live("intents", place) == Path(one["folder"])
    with pytest.raises(Refused, match="replaced nothing"):
        rollback("intents", place=place)
    promote("intents@2", "canary", place=place)
    assert [each["stage"] for each in releases("intents", place)["releases"]] == ["canary", "live"]


def test_a_rollback_to_what_was_tampered_with_leaves_all_as_it_was(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    one = release("labels", "intents", place)
    two = release("labels", Wish("intents", system="be brief"), place)
    promote("intents@1", place=place)
    promote("intents@2", place=place)
    (Path(one["folder"]) / "lock.json").write_text("{}")
    with pytest.raises(Refused, match=r"lock\.json was changed"):
        rollback("intents", place=place)
    assert live("intents", place) == Path(two["folder"])


def test_approvals_are_needed_where_the_registry_says_so(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    release("labels", "intents", place)
    assert approve(require=1, place=place) == {"approvals": 1}
    with pytest.raises(Refused, match="intents@1 lacks approval: 1 person must approve it, and 0 did"):
        promote("intents", place=place)
    done = approve("intents", "tried it", place=Place(place.root, by="bea"))
    assert [each["by"] for each in done["approved"]] == ["bea"]
    assert promote("intents", place=place)["stage"] == "live"
    with pytest.raises(Refused, match="nothing is approved"):
        approve(place=place)


def test_lineage_leads_from_a_file_of_data_to_the_release_and_back(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    made = release("labels", "intents", place)
    data = finished("labels").folder.parents[1] / "tickets.csv"
    up = lineage("intents", place)["up"]
    assert {(each["kind"], each["key"]) for each in up} >= {("data", sha256(data))}
    down = lineage(str(data), place)["down"]
    assert [(each["kind"], each["label"]) for each in down] == [("run", "labels"), ("release", "intents@1")]
    assert lineage(made["id"][:12], place)["up"] == up
    other = tmp_path / "other.csv"
    other.write_text("text,label\n")
    with pytest.raises(Refused, match="no run that was released has read"):
        lineage(str(other), place)


@pytest.mark.slow
def test_a_release_is_what_a_later_run_begins_with(tmp_path: Path) -> None:
    """The first loss of a run that begins with a release is that of the release itself: what was learnt is in it."""
    base = chat_base(tmp_path / "base")
    conversations(tmp_path)
    root = tmp_path / "runs"
    affina.train(recipe(tmp_path, base, "chats.jsonl", train=FEW), run="first", root=root)
    release("first", "parcels", Place(root))
    learnt = affina.evaluate("parcels", root=root)["metrics"]["loss"]["value"]
    path = recipe(tmp_path, "parcels", "chats.jsonl", train=FEW)
    child = affina.train(path, run="second", root=root)
    assert child.read("lock.json")["base"]["reference"] == "parcels@1"
    assert child.read("result.json")["metrics"]["loss"]["base"] == pytest.approx(learnt, abs=1e-5)
    made = release("second", "parcels", Place(root))
    assert made["version"] == 2
    up = lineage("parcels@2", Place(root))["up"]
    assert ("release", "parcels@1") in [(each["kind"], each["label"]) for each in up]
    assert affina.evaluate("parcels@2", root=root)["items"] == 12


def test_the_card_marks_what_a_person_must_fill_in_and_escapes_what_others_wrote(
    finished: Finished, tmp_path: Path
) -> None:
    place = copied(finished("labels"), tmp_path)
    run = Run(tmp_path / "runs" / "labels")
    lock = run.read("lock.json")
    evil = "<script>alert(1)</script> [x](javascript:alert(1)) | `b` https://evil.example $x$"
    run.write("lock.json", {**lock, "notes": [evil]})
    share, nats = ({"value": 0.61, "low": 0.55, "high": 0.67}, {"value": 1.5, "low": 1.4, "high": 1.6})
    moved = {"value": -0.02, "low": -0.05, "high": 0.01, "n": 99, "method": "paired bootstrap"}
    unmoved = {"value": None, "low": None, "high": None, "n": 0, "method": "not comparable"}
    suites = {
        "crows": ({"name": "crows_pairs", "data": "pairs.csv", "most": 7}, {"share": (share, moved)}),
        "gap_text": ("neutral_text", {"nats": (nats, unmoved)}),
    }
    run.write(
        "suites.json",
        {
            suite: {
                "task": task, "seconds": {"base": 3.0, "tuned": 3.5}, "items": 99, "notes": [f"a note on {suite}"],
                "statistics": {
                    name: {"base": value, "tuned": value, "difference": found, "p_adjusted": 0.2, "ideal": 0.5}
                    for name, (value, found) in statistics.items()
                },
            }
            for suite, (task, statistics) in suites.items()
        },
    )  # fmt: skip
    made = release("labels", "intents", place)
    text = Path(made["card"]).read_text()
    assert "<script>" not in text and "[x](" not in text and "&lt;script&gt;alert(1)" in text
    assert "https\\://evil.example \\$x" in text
    assert text.split("## Bias")[1].split("##")[0].strip().splitlines() == [
        "- crows / share: base 0.61, tuned 0.61 \\[0.55, 0.67\\]; "
        "difference -0.02 \\[-0.05, 0.01\\], 99 items, paired bootstrap",
        "- crows: a note on crows",
    ]
    assert text.split("## Evaluation")[1].split("##")[0].strip().splitlines()[-2:] == [
        "- gap\\_text / nats: base 1.5, tuned 1.5 \\[1.4, 1.6\\]; the two are not comparable",
        "- gap\\_text: a note on gap\\_text",
    ]
    for heading in ("Data", "Intended use", "Limits", "Evaluation", "Bias", "Energy"):
        assert f"\n## {heading}\n" in text
    plain = json.loads(Path(made["card"]).with_suffix(".json").read_text())
    points = {each["point"]: each for each in plain["annex_iv"]}
    assert [*points][:8] == [f"1({letter})" for letter in "abcdefgh"]
    assert [*points][8:] == [*(f"2({letter})" for letter in "abcdefgh"), *"3456789"]
    assert points["8"]["for_a_person"] and not points["8"]["known"]
    assert points["2(g)"]["known"] and points["2(g)"]["for_a_person"], "its reports are signed by persons"
    assert not points["2(a)"]["for_a_person"]
    assert "To be filled in by a person." in text
    energy = text.split("## Energy")[1].split("##")[0]
    seconds = sum(event["seconds"] for event in run.events("learn"))
    assert "energy was not measured" in energy and f"took {seconds:,.0f} s" in energy


def test_licences_stand_on_the_card_and_in_the_lineage_and_what_is_not_stated_is_left_to_a_person(
    finished: Finished, tmp_path: Path
) -> None:
    place = copied(finished("labels"), tmp_path)
    run, data = Run(tmp_path / "runs" / "labels"), finished("labels").folder.parents[1] / "tickets.csv"
    first = release("labels", "intents", place)
    row = f"- tickets.csv: 90 rows, SHA-256 {sha256(data)}, licence: "
    assert f"{row}To be filled in by a person.\n" in Path(first["card"]).read_text()
    assert lineage("intents", place)["up"][1]["licence"] == ""
    run.write("lock.json", {**run.read("lock.json"), "licences": {"tickets.csv": "<b>CC-BY-4.0</b>, by us"}})
    made = release("labels", "intents", place)
    text = Path(made["card"]).read_text()
    assert f"{row}&lt;b&gt;CC-BY-4.0&lt;/b&gt;, by us\n" in text
    assert made["version"] == 2 and "licence of the base" in text
    up = {each["kind"]: each for each in lineage("intents", place)["up"]}
    assert up["data"]["licence"] == lineage(str(data), place)["node"]["licence"] == "<b>CC-BY-4.0</b>, by us"
    assert up["base"]["licence"] == ""


def test_energy_that_was_counted_is_told_in_kilowatt_hours(finished: Finished, tmp_path: Path) -> None:
    """12 steps of 3 × 10⁵ J are 3.6 × 10⁶ J, one kilowatt hour."""
    place = copied(finished("labels"), tmp_path)
    run = Run(tmp_path / "runs" / "labels")
    events = [{**each, **({"joules": 3e5} if each["kind"] == "learn" else {})} for each in run.events()]
    run.write("events.jsonl", "".join(json.dumps(each) + "\n" for each in events))
    text = Path(release("labels", "intents", place)["card"]).read_text()
    assert "training steps: 1 kWh by the processor's own counter" in text


def test_a_card_that_was_changed_or_lost_is_written_again(finished: Finished, tmp_path: Path) -> None:
    place = copied(finished("labels"), tmp_path)
    card = Path(release("labels", "intents", place)["card"])
    text = card.read_text()
    card.write_text("all is well")
    releases(place=place)
    assert card.read_text() == text
    shutil.rmtree(card.parent)
    (card.parent.parent / ".card.123").mkdir()
    releases(place=place)
    assert card.read_text() == text
    verify(card.parents[1])


def test_the_errors_are_the_packages_own(tmp_path: Path) -> None:
    for asked in (
        lambda: promote("absent", place=Place(tmp_path)),
        lambda: rollback("absent", place=Place(tmp_path)),
        lambda: releases("absent", Place(tmp_path)),
        lambda: lineage("absent", Place(tmp_path)),
        lambda: approve("absent", place=Place(tmp_path)),
    ):
        with pytest.raises(AffinaError, match=r"no release is called 'absent'.*makes one"):
            asked()


def test_a_link_in_the_place_of_a_card_is_replaced_and_what_it_leads_to_stays(
    finished: Finished, tmp_path: Path
) -> None:
    place = copied(finished("labels"), tmp_path)
    made, elsewhere = Path(release("labels", "intents", place)["folder"]), tmp_path / "elsewhere"
    shutil.rmtree(made / "card")
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    (made / "card").symlink_to(elsewhere)
    with pytest.raises(Refused, match="card was added"):
        promote("intents", place=place)
    releases("intents", place)
    assert not (made / "card").is_symlink() and (made / "card" / "card.md").is_file()
    assert [path.name for path in elsewhere.iterdir()] == ["kept"]
