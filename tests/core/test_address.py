from pathlib import Path

import pytest

from affina.core.address import is_address, literal_secret, masked, moved
from affina.core.errors import Refused
from affina.core.recipe import Recipe

SECRETS = [
    "postgresql://anna:geheim@host/db",
    "postgresql+psycopg://anna:p%40ss@host:5432/db",
    "postgresql://:geheim@host/db",
    "mysql://anna:half${DB_PASSWORD}@host/db",
    "postgresql://host/db?password=geheim",
    "postgresql://host/db?user=anna&sslpassword=geheim",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Danna%3BPWD%3Dgeheim",
    "snowflake://host/db?token=geheim",
]
SAFE = [
    "postgresql://${DB_USER}:${DB_PASSWORD}@host/db",
    "postgresql://anna:${DB_PASSWORD}@host/db?password=${OTHER}",
    "postgresql://anna@host/db",
    "sqlite:///folder/file.db",
    "${DATABASE_URL}",
    "postgresql://host:5432/db",
]


@pytest.mark.parametrize("entry", SECRETS)
def test_a_password_that_is_written_out_is_seen_and_masked(entry: str) -> None:
    assert literal_secret(entry)
    assert not any(secret in masked(entry) for secret in ("geheim", "p%40ss", "half"))


@pytest.mark.parametrize("entry", SAFE)
def test_an_address_without_one_is_left_as_it_is(entry: str) -> None:
    assert is_address(entry) and not literal_secret(entry)
    assert masked(entry) == entry


@pytest.mark.parametrize("entry", ["a.csv", "-", "folder/a.zip!/b.csv", "data/**/*.csv", "C:/a.csv", "a:b@c"])
def test_paths_are_no_addresses(entry: str) -> None:
    assert not is_address(entry) and not literal_secret(entry)


@pytest.mark.parametrize("entry", SECRETS)
def test_a_recipe_with_a_password_is_refused_without_saying_it(entry: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"model: {{base: smollm2-135m-instruct}}\ndata: {{read: ['{entry}']}}\n")
    with pytest.raises(Refused, match=r"\$\{DB_PASSWORD\}") as error:
        Recipe.load(path)
    path.write_text("model: {base: smollm2-135m-instruct}\ndata: {read: [a.csv]}\n")
    with pytest.raises(Refused, match=r"\$\{DB_PASSWORD\}") as changed:
        Recipe.load(path, {"data.read": [entry]})
    for said in (str(error.value), str(changed.value)):
        assert not any(secret in said for secret in ("geheim", "p%40ss"))


def test_an_entry_is_written_anew_from_another_folder(tmp_path: Path) -> None:
    old, new = tmp_path / "recipes", tmp_path / "runs" / "one"
    assert moved("a.csv", old, new) == "../../recipes/a.csv"
    assert moved("a.zip!/in/*.csv", old, new) == "../../recipes/a.zip!/in/*.csv"
    assert moved("sqlite:///b/a.db", old, new) == "sqlite:///../../recipes/b/a.db"
    for same in ("-", "sqlite:////abs/a.db", "${DATABASE_URL}", "postgresql://${U}:${P}@host/db"):
        assert moved(same, old, new) == same
