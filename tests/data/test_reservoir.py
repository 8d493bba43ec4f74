from affina.data.reservoir import Reservoir


def offered(things: int, size: int, seed: int = 0) -> list[int]:
    held: Reservoir[int] = Reservoir(size, seed)
    for thing in range(things):
        held.offer(thing)
    assert held.met == things
    return held.kept


def test_all_are_kept_in_order_while_they_are_fewer_than_its_size() -> None:
    assert offered(7, 10) == [*range(7)]
    assert offered(0, 10) == []


def test_the_sample_is_in_order_of_its_size_and_the_same_each_time() -> None:
    kept = offered(10_000, 100)
    assert kept == sorted(kept) and len(set(kept)) == 100
    assert kept == offered(10_000, 100) != offered(10_000, 100, seed=1)


def test_each_thing_has_the_same_chance() -> None:
    # 10 of 100, 2000 times: each is kept 200 times on average, with a deviation of sqrt(2000 · 0.1 · 0.9) = 13.4;
    # five of them, 67, are exceeded by one thing in two million.
    times = [0] * 100
    for seed in range(2000):
        for thing in offered(100, 10, seed):
            times[thing] += 1
    assert max(abs(each - 200) for each in times) < 67
