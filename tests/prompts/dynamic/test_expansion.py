"""Seeds, counts, and that each prompt can be had again alone."""

from __future__ import annotations

import pytest

from lorasmith.errors import PromptError, RefusedError
from lorasmith.prompts.dynamic import Method, Seeds, count_prompts, expand
from lorasmith.prompts.dynamic.drawing import rolls
from lorasmith.prompts.dynamic.expansion import tell_count
from tests.refusal_words import refused_words

TEMPLATE = "{a|b|c|d} {1|2|3|4|5|6|7|8|9} {@x|y} ${v=!{p|q|r}}${v}{2$$${v}|s|t|u}"


@pytest.mark.parametrize("mode", ["random", "combinatorial", "cyclical"])
def test_each_prompt_is_reproducible_alone(mode: Method) -> None:
    together = list(expand(TEMPLATE, 12, Seeds(100, 7), mode))
    assert len({each.prompt for each in together}) > 4
    for turn in (0, 5, 11):
        (alone,) = expand(TEMPLATE, 1, Seeds(100, 7), mode, first=turn)
        assert alone == together[turn]
        (again,) = expand(together[turn].template, 1, Seeds(0, together[turn].prompt_seed - turn), mode, first=turn)
        assert again.prompt == alone.prompt


def seeds(n: int, given: Seeds) -> list[tuple[int, int]]:
    return [(each.seed, each.prompt_seed) for each in expand("{a|b}", n, given)]


def test_seeds_linked_or_not_fixed_or_not() -> None:
    assert seeds(3, Seeds(5)) == [(5, 5), (6, 6), (7, 7)]
    assert seeds(3, Seeds(5, prompt=90)) == [(5, 90), (6, 91), (7, 92)]
    assert seeds(3, Seeds(5, fixed=True)) == [(5, 5), (5, 5), (5, 5)]
    assert seeds(3, Seeds(5, prompt=90, fixed=True)) == [(5, 90), (5, 91), (5, 92)]
    fixed = [each.prompt for each in expand(TEMPLATE.replace("@", ""), 8, Seeds(5, fixed=True))]
    assert len(set(fixed)) == 1
    free = [each.prompt for each in expand(TEMPLATE, 8, Seeds(5, 90, fixed=True))]
    assert len(set(free)) > 4


def test_the_draws_of_a_seed_never_change() -> None:
    drawn = rolls(7)
    assert [round(next(drawn), 6) for _ in range(3)] == [0.899147, 0.796129, 0.762264]
    many = rolls(8)
    assert sum(next(many) for _ in range(4_000)) / 4_000 == pytest.approx(0.5, abs=0.02)


def test_counts_come_before_expanding() -> None:
    assert count_prompts("{a|b|c}" * 40) == 3**40
    assert count_prompts("{3$$" + "|".join(f"w{n}" for n in range(100)) + "}") == 100 * 99 * 98
    assert count_prompts("{3$${x|y}z|" + "|".join(f"w{n}" for n in range(99)) + "}") == 99 * 98 * 97 + 3 * 2 * 99 * 98
    assert count_prompts("{a|b}" * 1_000) == 10**100
    assert tell_count(10**100) == "more than 10^100"
    assert tell_count(12_345) == "12,345"


def test_far_results_are_found_without_those_before_them() -> None:
    last = 3**40 - 1
    (found,) = expand("{a|b|c}" * 40, 5, 0, "combinatorial", first=last)
    assert found.prompt == "c" * 40
    hundred = "|".join(f"w{n:02}" for n in range(100))
    (pick,) = expand(f"{{3$${hundred}}}", 1, 0, "combinatorial", first=100 * 99 * 98 - 1)
    assert pick.prompt == "w99,w98,w97"
    prompts = [each.prompt for each in expand("{2$${x|y}z|" + hundred + "}", 10_402, 0, "combinatorial")]
    assert len(prompts) == len(set(prompts)) == 100 * 99 + 2 * 2 * 100
    assert list(expand("{a|b}", 5, 0, "combinatorial", first=2)) == []


def test_no_number_means_all_unless_they_are_too_many() -> None:
    assert len(list(expand("{a|b}{c|d}", None, 0, "combinatorial"))) == 4
    assert len(list(expand("{a|b}{c|d}"))) == 1
    with pytest.raises(PromptError, match="1,048,576 prompts"):
        expand("{a|b}" * 20, None, 0, "combinatorial")


def test_nothing_is_computed_ahead() -> None:
    prompts = expand("{a|b}" * 300, 10**12, 3)
    assert len(next(prompts).prompt) == 300


def test_what_is_wrong_with_a_call() -> None:
    with pytest.raises(PromptError, match='Did you mean "random"'):
        expand("a", mode="randon")  # type: ignore[arg-type]
    for wrong in ({"n": -1}, {"seed": -1}, {"first": -1}):
        with pytest.raises(PromptError, match="not between"):
            expand("a", **wrong)  # type: ignore[arg-type]


def test_every_expanded_prompt_is_looked_at() -> None:
    minor, sexual = refused_words()
    template = f"{{a|{{{sexual}}}}} {{adult|{{{minor[:2]}|xx}}{minor[2:]}}}, park"
    found: list[object] = []
    with pytest.raises(RefusedError):
        found.extend(expand(template, None, 0, "combinatorial"))
    with pytest.raises(RefusedError):
        list(expand(f"{sexual}, {{red, |}}10 {{years|x}} old", 40, 0))
    assert [each.prompt for each in expand(f"{{{sexual}|10 apples}}", None, 0, "combinatorial")] == [
        sexual,
        "10 apples",
    ]
