"""The law every head keeps: documented, deterministic, chances that add up, arrays alone; scikit-learn's answers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from affina.core.kinds import Vectors, heads
from affina.training.chances import hedged, loss, settled

NAMES = heads.names()
FIXED: dict[str, dict[str, Any]] = {
    "linear": {"penalty": 0.5},
    "knn": {"neighbours": 7},
    "forest": {"trees": 9, "leaf": 2},
}
CLASSES: dict[str, Any] = {
    "linear": LogisticRegression(C=2.0, max_iter=5000),
    "knn": KNeighborsClassifier(7),
    "forest": RandomForestClassifier(9, min_samples_leaf=2, random_state=3),
}
NUMBERS: dict[str, Any] = {
    "linear": Ridge(alpha=0.5),
    "knn": KNeighborsRegressor(7),
    "forest": RandomForestRegressor(9, min_samples_leaf=2, random_state=3),
}


def vectors(seed: int, classes: int, rows: int = 90) -> Vectors:
    """Unit vectors about one direction per class; the same directions for each seed."""
    draws, centres = np.random.default_rng(seed), np.random.default_rng(99).normal(size=(classes or 3, 6))
    of = draws.integers(0, len(centres), rows)
    made = centres[of] + draws.normal(size=(rows, 6))
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return Vectors(made.astype(np.float32), of.astype(np.float64) if classes else of * 1.5 - 1, classes)


@pytest.mark.parametrize("name", NAMES)
def test_a_head_builds_from_defaults_round_trips_and_is_documented(name: str) -> None:
    part = heads.build(name)
    assert part.name == name == heads.dump(part)
    changed = heads.build({"name": name, **FIXED[name]})
    assert heads.build(heads.dump(changed)) == changed != part
    assert type(part).__doc__ and all(field.description for field in type(part).model_fields.values())


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_head_learns_the_same_again_and_answers_the_same_from_a_file(name: str, classes: int, tmp_path: Path) -> None:
    part, train, test = heads.build(name), vectors(0, classes), vectors(2, classes)
    learnt, again = (part.fit(train, vectors(1, classes), seed=3) for _ in range(2))
    save_file({key: np.ascontiguousarray(each) for key, each in learnt.items()}, tmp_path / "learnt.safetensors")
    kept = load_file(tmp_path / "learnt.safetensors")
    answers = part.answer(learnt, test.rows_ND)
    assert answers.shape == (90, classes or 1)
    np.testing.assert_array_equal(part.answer(again, test.rows_ND), answers)
    np.testing.assert_array_equal(part.answer(kept, test.rows_ND), answers)
    if classes:
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-12)
        assert (answers.argmax(axis=1) == test.targets_N).mean() > 0.6  # a guess: 0.5 or less
    else:
        assert loss(answers, test, train) < np.var(test.targets_N) / 2


@pytest.mark.parametrize("classes", [0, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_a_head_answers_as_the_library_does(name: str, classes: int) -> None:
    part, train, test = heads.build({"name": name, **FIXED[name]}), vectors(0, classes), vectors(2, classes)
    peer = (CLASSES if classes else NUMBERS)[name]
    targets = train.targets_N.astype(int) if classes else train.targets_N
    peer.fit(train.rows_ND.astype(np.float64) if name == "linear" else train.rows_ND, targets)
    expected = peer.predict_proba(test.rows_ND) if classes else peer.predict(test.rows_ND)[:, None]
    found = part.answer(part.fit(train, test, seed=3), test.rows_ND)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_class_without_a_training_row_has_no_chance(name: str) -> None:
    train, test = vectors(0, 3), vectors(2, 3)
    among = train.targets_N != 1
    some = Vectors(train.rows_ND[among], train.targets_N[among], 3)
    found = heads.build(name).answer(heads.build(name).fit(some, vectors(1, 3), 0), test.rows_ND)
    assert found.shape == (90, 3) and not found[:, 1].any()
    assert (hedged(found, some) > 0).all()


@pytest.mark.parametrize("name", ["linear", "knn"])
def test_a_setting_left_out_is_the_one_that_validation_likes_best(name: str) -> None:
    field, tried = {"linear": ("penalty", (1.0, 0.1, 0.01)), "knn": ("neighbours", (1, 3, 10, 30))}[name]
    train, validation = vectors(0, 3), vectors(1, 3)

    def lost(**given: Any) -> float:
        part = heads.build({"name": name, **given})
        return loss(part.answer(part.fit(train, validation, 0), validation.rows_ND), validation, train)

    assert lost() == min(lost(**{field: each}) for each in tried) < max(lost(**{field: each}) for each in tried)


def test_more_neighbours_than_rows_are_all_rows() -> None:
    two = Vectors(np.eye(2, dtype=np.float32), np.array([0.0, 1.0]), 2)
    part = heads.build({"name": "knn", "neighbours": 30})
    np.testing.assert_array_equal(part.answer(part.fit(two, two, 0), two.rows_ND), 0.5)


def test_a_hedged_chance_counts_one_more_row() -> None:
    """Rows of classes 0, 0, 1, shares with one more of each 3/5 and 2/5: (3 · 1 + 0.6) / 4 and (3 · 0 + 0.4) / 4."""
    three = Vectors(np.eye(3, dtype=np.float32), np.array([0.0, 0.0, 1.0]), 2)
    np.testing.assert_allclose(hedged(np.array([[1.0, 0.0]]), three), [[0.9, 0.1]])


def test_of_equal_settings_the_first_is_taken() -> None:
    three = Vectors(np.eye(3, dtype=np.float32), np.zeros(3), 0)
    learnt = [{"bias": np.array([each])} for each in (1.0, -1.0)]
    found = settled(learnt, lambda each: np.full((3, 1), each["bias"][0]), three, three)
    assert found["bias"][0] == 1
