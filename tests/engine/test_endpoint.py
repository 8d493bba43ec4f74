"""An endpoint's address, its key, and what becomes of requests that fail."""

import pytest
from endpoints import Faults, serving

from affina.core.errors import Failed, Refused
from affina.engine.endpoint import Address, Endpoint, is_endpoint
from affina.engine.toy import Toy


def test_an_address_names_the_model_the_keys_variable_and_the_tokenizer() -> None:
    address = Address.read("http://host:80/v1/#qwen/2.5:7b,key=MY_KEY,tokenizer=runs/a")
    assert address == Address("http://host:80/v1", "qwen/2.5:7b", "MY_KEY", "runs/a")
    assert Address.read("https://host/v1") == Address("https://host/v1")


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("http:///v1", "is no endpoint"),
        ("ftp://host/v1", "is no endpoint"),
        ("http://host:eighty/v1", "is no endpoint"),
        ("http://[::1/v1", "is no endpoint"),
        ("http://a..b/v1", "is no endpoint"),
        (f"http://{'a' * 64}/v1", "is no endpoint"),
        ("http://host\x00/v1", "is no endpoint"),
        ("http://me:secret@host/v1", "name it"),
        ("http://host/v1?api_key=secret", "name it"),
        ("http://host/v1#m,kye=A", "did you mean 'key'"),
    ],
)
def test_an_address_that_cannot_be_is_refused_without_repeating_a_secret(reference: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        Address.read(reference)
    assert told in str(refused.value) and "secret@" not in str(refused.value) and "=secret" not in str(refused.value)


def test_a_file_to_fetch_is_no_endpoint() -> None:
    assert is_endpoint("http://host/v1#model.gguf") and is_endpoint("https://host")
    assert is_endpoint("http://[::1/v1")  # which is refused as an address
    assert not is_endpoint("https://host/a.gguf#sha256=0") and not is_endpoint("smollm2") and not is_endpoint("./v1")


def test_offline_refuses_other_machines_before_any_connection_and_serves_this_one() -> None:
    with pytest.raises(Refused, match="offline"):
        Endpoint(Address.read("http://192.0.2.1/v1"), offline=True)
    with serving(Toy()) as served:
        assert Endpoint(Address.read(served.url), offline=True).get("models")["data"]


def test_the_key_comes_from_the_environment_and_is_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Toy(), key="sk-right") as served:
        address = Address.read(f"{served.url}#tiny,key=AFFINA_TEST_KEY")
        with pytest.raises(Refused, match="AFFINA_TEST_KEY is not set"):
            Endpoint(address)
        monkeypatch.setenv("AFFINA_TEST_KEY", "sk-wrong")
        with pytest.raises(Refused, match="check what AFFINA_TEST_KEY holds") as refused:
            Endpoint(address).get("models")
        assert "sk-" not in str(refused.value)
        monkeypatch.setenv("AFFINA_TEST_KEY", "sk-right\nX-Other: header")
        with pytest.raises(Refused, match="is no key"):
            Endpoint(address)
        monkeypatch.setenv("AFFINA_TEST_KEY", "sk-right\n")
        assert Endpoint(address).get("models")["data"]
        with pytest.raises(Refused, match="name its key"):
            Endpoint(Address.read(served.url)).get("models")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_endpoint_is_asked_again(status: int) -> None:
    with serving(Toy(), Faults(busy=3, status=status)) as served:
        assert Endpoint(Address.read(served.url), pause_s=0.001).get("models")["data"]


def test_an_endpoint_that_stays_busy_or_away_ends_in_one_sentence() -> None:
    with serving(Toy(), Faults(busy=99)) as served:
        with pytest.raises(Failed, match=r"503: come again \(5 times\)"):
            Endpoint(Address.read(served.url), pause_s=0.001).get("models")
        assert served.faults.busy == 94
        with pytest.raises(Refused, match="404"):
            served.faults.busy = 0
            Endpoint(Address.read(served.url)).post("nothing", {})
    with pytest.raises(Failed, match="cannot be reached"):
        Endpoint(Address.read(served.url), pause_s=0.001).get("models")


def test_the_first_error_of_many_requests_ends_them() -> None:
    endpoint = Endpoint(Address.read("http://127.0.0.1:9/v1"))
    done: list[int] = []

    def ask(place: int) -> int:
        if place == 3:
            raise Refused("the fourth")
        done.append(place)
        return place * place

    assert endpoint.each(ask, [0, 1, 2]) == [0, 1, 4]
    with pytest.raises(Refused, match="the fourth"):
        endpoint.each(ask, range(1000))
    assert len(done) < 1000
