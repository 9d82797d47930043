"""Templates: every form of the grammar, what is text, what is an error, and that no text breaks the reader."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lorasmith.errors import PromptError
from lorasmith.prompts.dynamic import Method, Wildcards, count_prompts, expand, read_template
from tests.prompts.effort import count_lines


@pytest.fixture
def wildcards(tmp_path: Path) -> Wildcards:
    (tmp_path / "places").mkdir()
    (tmp_path / "colours.txt").write_text("red\ngreen\n# no colour\n\nblue\nred\n")
    (tmp_path / "places" / "warm.txt").write_text("beach\ndesert\n")
    (tmp_path / "places" / "cold.txt").write_text("glacier\n")
    (tmp_path / "outfit.txt").write_text("${colour:grey} coat\n${colour:grey} {hat|cap}\n")
    (tmp_path / "style.txt").write_text("<lora:foo__bar:0.8>\n")
    (tmp_path / "loop.txt").write_text("a __loop__\n")
    return Wildcards(tmp_path)


def every(template: str, wildcards: Wildcards | None = None, mode: Method = "combinatorial") -> list[str]:
    return [each.prompt for each in expand(template, 50 if mode == "combinatorial" else 4, 0, mode, wildcards)]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{a|b}{1|2}", ["a1", "a2", "b1", "b2"]),
        ("{a|{b|c}} d", ["a d", "b d", "c d"]),
        ("{a|b|}", ["a", "b", ""]),
        ("{3::a|.5::b|2.::}", ["a", "b", ""]),
        ("{-1::a|1e3::b|c::d}", ["-1::a", "1e3::b", "c::d"]),
        ("{ a | b } c", ["a  c", "b  c"]),
        ("{2$$a|b|c}", ["a,b", "a,c", "b,a", "b,c", "c,a", "c,b"]),
        ("{2$$ and $$a|b}", ["a and b", "b and a"]),
        ("{2$$ | $$a|b}", ["a | b", "b | a"]),
        ("{1-2$$a|b}", ["a", "b", "a,b", "b,a"]),
        ("{2-1$$a|b}", ["a", "b", "a,b", "b,a"]),
        ("{-2$$a|b}", ["a", "b", "a,b", "b,a"]),
        ("{2-$$a|b}", ["a,b", "b,a"]),
        ("{0-1$$a|b}", ["", "a", "b"]),
        ("{9$$a|b}", ["a,b", "b,a"]),
        ("{0$$a}", [""]),
        ("{2$${a|b}|c}", ["a,c", "b,c", "c,a", "c,b"]),
        ("{2$$a|}", ["a", "a"]),
        ("{{a|b}|a}", ["a", "b"]),
        ("{2$$a|a|b}", ["a,b", "b,a"]),
        ("{2$$a|a|a}", ["a,a"]),
        ("{0::a|0::b}", ["a", "b"]),
        ("{}", [""]),
        ("${x={a|b}}${x}${x}", ["aa", "ab", "ba", "bb"]),
        ("${x=!{a|b}}${x}${x}", ["aa", "bb"]),
        ("${x=1}${x?=2}${y?=3}${x}${y}", ["13"]),
        ("${x:{a|b}} ${ y : c }", ["a c ", "b c "]),
        ("${x=a}{${x=b}${x}|${x}}${x}", ["ba", "aa"]),
        ("${y=${x}}${x=1}${y}", ["1"]),
        ("${x=!{a|b}}${y=!${x}{1|2}}${y}", ["a1", "a2", "b1", "b2"]),
        ("%{A ... B$${a|b}}", ["A a B", "A b B"]),
        ("%{{A|C} \u2026$$ b}", ["A b", "C b"]),
        ("%{A$$b}", ["Ab"]),
        ("{a|b} # {c|d}\ne", ["a \ne", "b \ne"]),
        ("# {\n{a|b}", ["\na", "\nb"]),
        ("C#{a|b} http://x", ["C#a http://x", "C#b http://x"]),
        ("<lora:x:0.{1|5}>", ["<lora:x:0.1>", "<lora:x:0.5>"]),
        ("[a|b] [c:d:.5] (e:1.2) AND {f|g}", ["[a|b] [c:d:.5] (e:1.2) AND f", "[a|b] [c:d:.5] (e:1.2) AND g"]),
    ],
)
def test_all_results_in_order(template: str, expected: list[str]) -> None:
    assert every(template) == expected
    assert count_prompts(template) == len(expected)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("__colours__", ["blue", "green", "red"]),
        ("{2$$__colours__}", ["blue,green", "blue,red", "green,blue", "green,red", "red,blue", "red,green"]),
        ("{2-$$__places/warm__}", ["beach,desert", "desert,beach"]),
        ("__places/*__", ["beach", "desert", "glacier"]),
        ("__**/warm__ __cold__", ["beach glacier", "desert glacier"]),
        ("__ colours __", ["blue", "green", "red"]),
        ("x__places/cold__y", ["xglaciery"]),
        ("___places/cold___", ["_glacier_"]),
        ("__outfit__", ["grey coat", "grey hat", "grey cap"]),
        ("__outfit(colour=red)__", ["red coat", "red hat", "red cap"]),
        ("__outfit(colour=__places/cold__)__", ["glacier coat", "glacier hat", "glacier cap"]),
        ("${colour=blue}__outfit__", ["blue coat", "blue hat", "blue cap"]),
        ("__places/${t:cold}__", ["glacier"]),
        ("__places/{cold|warm}__", ["glacier", "beach", "desert"]),
        ("${t=!{cold|warm}}${t}: __places/${t}__", ["cold: glacier", "warm: beach", "warm: desert"]),
        (
            "{1|2} ${t=!{cold|warm}}__places/${t}__{x|y}",
            [f"{n} {place}{end}" for n in (1, 2) for place in ("glacier", "beach", "desert") for end in "xy"],
        ),
        ("${s=!{ol|ar}}${t=!c${s}d}__places/${t}__", None),
        ("__style__", ["<lora:foo__bar:0.8>"]),
    ],
)
def test_wildcards(template: str, expected: list[str] | None, wildcards: Wildcards) -> None:
    if expected is None:
        with pytest.raises(PromptError, match="places/card"):
            every(template, wildcards)
        return
    assert every(template, wildcards) == expected
    assert count_prompts(template, wildcards) == len(expected)


@pytest.mark.parametrize(
    "template",
    [
        "<lora:foo__bar:0.8>",
        "<lora:foo__bar__baz:0.8>",
        "<lora:__bar__:0.8>",
        *("a__b", "a__b__c", "___", "__a", "__", "__a b __c", "__ nothing here __"),
        *("$5", "$", "${", "${5}", "${x", "50% off", "%{", "%", "50%{", "a}b", "{a|b", "{", "}", "{{a|b", "|", "a | b"),
        *("a__d, b__c", "a::b", "a$$b", "1-2$$a", r"a\(b\)", r"\\", "a\\"),
    ],
)
def test_what_fits_no_form_is_text(template: str) -> None:
    expected = template.replace("${5}", "$5")
    assert every(template) == [expected]
    assert every(template, mode="random") == [expected] * 4


def test_escapes() -> None:
    assert every(r"\{a\|b\} {c\|d|e\}} \${x} \__y__ 1 \# 2 \% 3 \\{f|g}") == [
        r"{a|b} c|d ${x} __y__ 1 # 2 % 3 \\f",
        r"{a|b} c|d ${x} __y__ 1 # 2 % 3 \\g",
        r"{a|b} e} ${x} __y__ 1 # 2 % 3 \\f",
        r"{a|b} e} ${x} __y__ 1 # 2 % 3 \\g",
    ]


def test_signs_before_a_choice_stay() -> None:
    assert every("${5|6} 50%{a|b}") == ["$5 50%a", "$5 50%b", "$6 50%a", "$6 50%b"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("__colors__", "Did you mean __colours__"),
        ("__nowhere__", "There are: colours"),
        ("__places/{cold|mild}__", "places/mild"),
        ("${x}", "not set"),
        ("${colour=red}${color}", 'Did you mean "colour"'),
        ("${x=${x}}${x}", "refers to itself"),
        ("__loop__", "refers to itself"),
        ("__outfit(red)__", "sets no variable"),
        ("__../colours__", "unknown"),
        ("__/etc/passwd__", "unknown"),
        ("".join(f"${{v{n}=${{v{n + 1}}}}}" for n in range(99)) + "${v99=1}${v0}", "more than 64 deep"),
        ("${a=x}" + "".join(f"${{{chr(98 + n)}={f'${{{chr(97 + n)}}}' * 9}}}" for n in range(9)) + "${j}", "4,000,000"),
    ],
)
def test_what_cannot_be(template: str, message: str, wildcards: Wildcards) -> None:
    with pytest.raises(PromptError, match=message):
        every(template, wildcards)


def test_missing_wildcards_can_be_kept(wildcards: Wildcards) -> None:
    kept = list(expand("__nowhere__ {a|b}", 2, 0, "combinatorial", wildcards, keep_missing=True))
    assert [each.prompt for each in kept] == ["__nowhere__ a", "__nowhere__ b"]


def test_marks_of_samplers() -> None:
    assert every("{@a|b} {c|d}") == ["a c", "b d"]
    assert [prompt[-1] for prompt in every("{~a|b} {c|d}")] == ["c", "d"]
    assert every("{@a|b} {@c|d|e}", mode="random") == ["a c", "b d", "a e", "b c"]
    assert every("{!a|b}{@c|d}", mode="cyclical") == ["ac", "bd", "ac", "bd"]


def test_cycles_go_on_inside_whenever_an_option_comes_up() -> None:
    prompts = [each.prompt for each in expand("{a|{b|c}} {2$$x|y}", 6, 0, "cyclical")]
    assert prompts == ["a x,y", "b y,x", "a x,y", "c y,x", "a x,y", "b y,x"]


PIECES = [*"{}|$%#_~!@:()<>=?,.-* \n\\", "__", "$$", "::", "${x", "${x=", "%{", "a", "2$$", "1-2$$", "...", "é", "3::"]


# Each letter of a private range stands for a piece: one draw of the library makes a whole text.
LETTERS = {0xE000 + at: piece for at, piece in enumerate(PIECES)}
ALPHABET = st.characters(min_codepoint=0xE000, max_codepoint=0xE000 + len(PIECES) - 1)
TEXTS = st.text(ALPHABET, max_size=20).map(lambda text: text.translate(LETTERS)) | st.text(max_size=12)


@settings(max_examples=1_000, deadline=None, database=None, derandomize=True)
@given(st.lists(TEXTS, min_size=10, max_size=10))
def test_any_text_gives_prompts_or_our_error(texts: list[str]) -> None:
    for text in texts:  # 10,000 in all
        try:
            template = read_template(text)
            count = count_prompts(template)
            modes: tuple[Method, ...] = ("random", "combinatorial", "cyclical")
            drawn = {mode: [each.prompt for each in expand(template, 2, 7, mode)] for mode in modes}
        except PromptError:
            continue
        assert len(drawn["combinatorial"]) == min(2, count)
        assert len(drawn["random"]) == len(drawn["cyclical"]) == 2


@pytest.mark.parametrize(
    "piece",
    [
        *("{", "}", "{a|b}", "{a", "|", "__", "__a(", "__a(b) ", "_", "${", "${a:", "${a=1}", "%{", "%{a$$b}", "$$"),
        *("\\", "#", " # a\n", "2$$", "{2$$", "{2$$a|b}", "<", "{3::", "...", "__a(()"),
    ],
)
def test_work_is_linear_and_depth_has_no_limit(piece: str) -> None:
    def read(text: str) -> None:
        with suppress(PromptError):
            read_template(text)

    def work(length: int) -> int:
        return count_lines(lambda: read(piece * (length // len(piece))))

    assert work(8_000) < 8 * 1.5 * work(1_000) + 500


@pytest.mark.parametrize("shape", ["{%s}", "{a|%s}", "{%s|a}x", "{2$$%s|b}", "%%{...$$%s}", "{~b|{%s}}"])
def test_deep_nests(shape: str) -> None:
    before, after = shape.replace("%%", "%").split("%s")
    template = read_template(before * 2_000 + "z" + after * 2_000)
    assert count_prompts(template) >= 1
    modes: tuple[Method, ...] = ("random", "combinatorial", "cyclical")
    for mode in modes:
        assert list(expand(template, 2, 0, mode))


def test_a_megabyte() -> None:
    template = read_template("{a|b}__c__d, " * 80_000)
    (drawn,) = expand(template, 1, 0)
    assert len(drawn.prompt) == 80_000 * 9
    assert count_prompts(template) == 10**100
