"""Where pictures go, as decisions."""

from __future__ import annotations

from collections import Counter

from lorasmith.server.cluster.routing import Standing, choose_replica


def stand(name: str, load: int = 0, room: int = 8, **more: object) -> Standing:
    return Standing(name, load, room, **more)  # type: ignore[arg-type]


def choose(
    *standings: Standing, adapters: tuple[str, ...] = (), base: str = "doodle", company: object = 1
) -> str | None:
    return choose_replica(standings, base, adapters, company, slack=4)


def test_nobody_has_room() -> None:
    assert choose() is None
    assert choose(stand("a", load=8, room=0), stand("b", load=8, room=0)) is None


def test_it_goes_where_its_adapter_is() -> None:
    for holder in ("a", "b", "c"):
        standings = [stand(name, adapters={"zbk"} if name == holder else {"other"}) for name in ("a", "b", "c")]
        assert choose(*standings, adapters=("zbk",)) == holder


def test_it_goes_where_most_of_its_adapters_are() -> None:
    one, both = stand("a", adapters={"zbk"}), stand("b", load=2, adapters={"zbk", "hat"})
    assert choose(one, both, adapters=("zbk", "hat")) == "b"


def test_of_those_that_hold_it_the_less_loaded() -> None:
    assert choose(stand("a", 3, adapters={"zbk"}), stand("b", 2, adapters={"zbk"}), adapters=("zbk",)) == "b"


def test_a_holder_with_much_more_to_do_is_passed_by() -> None:
    busy, idle = stand("a", load=6, room=2, adapters={"zbk"}), stand("b", load=1)
    assert choose(busy, idle, adapters=("zbk",)) == "b"
    assert choose(busy, stand("b", load=2), adapters=("zbk",)) == "a"


def test_a_full_holder_is_passed_by() -> None:
    assert choose(stand("a", load=3, room=0, adapters={"zbk"}), stand("b"), adapters=("zbk",)) == "b"


def test_the_base_counts_more_than_adapters() -> None:
    other, right = stand("a", base="other", adapters={"zbk"}), stand("b", base="doodle")
    assert choose(other, right, adapters=("zbk",)) == "b"


def test_only_who_draws_its_like_or_nothing() -> None:
    wide, idle = stand("a", load=1, company=2, base="doodle", adapters={"zbk"}), stand("b")
    assert choose(wide, idle, adapters=("zbk",), company=1) == "b"
    assert choose(wide, adapters=("zbk",), company=1) is None
    assert choose(wide, idle, adapters=("zbk",), company=2) == "a"


def test_without_adapters_the_least_loaded() -> None:
    assert choose(stand("a", 3), stand("b", 1), stand("c", 2)) == "b"


def test_an_adapter_that_nobody_holds_has_a_home() -> None:
    names = [f"adapter-{number}" for number in range(3000)]
    four = [stand(f"replica-{number}") for number in range(4)]
    homes = {name: choose(*four, adapters=(name,)) for name in names}
    shares = Counter(homes.values())
    assert len(shares) == 4
    assert all(600 < share < 900 for share in shares.values())
    assert homes == {name: choose(*reversed(four), adapters=(name,)) for name in names}

    three = {name: choose(*four[:3], adapters=(name,)) for name in names}
    moved = [name for name in names if three[name] != homes[name]]
    assert set(moved) == {name for name in names if homes[name] == "replica-3"}


def test_the_order_of_a_set_does_not_matter() -> None:
    four = [stand(f"replica-{number}") for number in range(4)]
    for number in range(50):
        pair = (f"x{number}", f"y{number}")
        assert choose(*four, adapters=pair) == choose(*four, adapters=pair[::-1])
