"""The error tree says what, where and the way out."""

from lorasmith.errors import LorasmithError, RecipeError, did_you_mean, near_names


def test_message_names_place_and_way_out() -> None:
    error = RecipeError("rank = 0: must be at least 1.", where="lora.toml: [recipe]", hint="Try 8.")
    assert str(error) == "lora.toml: [recipe]: rank = 0: must be at least 1. Try 8."


def test_every_error_has_its_own_exit_code() -> None:
    def below(kind: type[LorasmithError]) -> list[type[LorasmithError]]:
        return [kind, *(leaf for child in kind.__subclasses__() for leaf in below(child))]

    kinds = below(LorasmithError)
    assert len(kinds) > 8
    assert all(1 <= kind.exit_code <= 130 for kind in kinds)
    assert all(400 <= kind.http_status < 600 for kind in kinds)


def test_near_names_ignore_case_and_rank_by_likeness() -> None:
    assert near_names("Rnak", ["rank", "alpha", "ranks"])[0] == "rank"
    assert did_you_mean("rnak", ["rank", "alpha"]) == 'Did you mean "rank"?'
    assert did_you_mean("zzz", ["rank", "alpha"]) is None
