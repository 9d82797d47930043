"""The refusal: combinations are refused in any spelling and language; each side alone and harmless phrases are not.

No such word stands here: what is judged is put together from the entries of the one list, by id.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.refusal import (
    MISSED_GOAL,
    SPELLINGS,
    WRONG_GOAL,
    is_refused,
    trials,
    written,
    wrongly_refused,
)

from lorasmith.errors import RefusedError
from lorasmith.tags.pipeline import write_captions
from lorasmith.tags.refusal import refuse, refuse_images
from lorasmith.tags.refusal.entries import WITHOUT_SPACES, Language, read_list
from tests.dataset.projects import make_project, read
from tests.images.drawings import save_drawings
from tests.refusal_words import age, entry, refused_words

LANGUAGES = read_list().languages
ROOT = Path(__file__).parents[2]


def test_the_list_has_the_nine_languages_of_the_field() -> None:
    names = {language.name for language in LANGUAGES}
    assert names == {
        "english", "japanese", "chinese", "korean", "russian", "spanish", "portuguese", "german", "french",
    }  # fmt: skip
    for language in LANGUAGES:
        assert min(map(len, (language.minor, language.sexual, language.ages, language.harmless))) > 2


@pytest.mark.parametrize("expected", [True, False], ids=["to refuse", "to draw"])
def test_composed_cases(expected: bool) -> None:
    tried = [trial for trial in trials() if trial.refused is expected]
    assert len(tried) > 4000
    wrong = [trial.id for trial in tried if is_refused(trial.text) is not expected]
    assert len(wrong) / len(tried) <= (MISSED_GOAL if expected else WRONG_GOAL), wrong[:20]


def test_innocent_texts_of_this_project() -> None:
    wrong, tried = wrongly_refused()
    assert tried > 5000
    assert len(wrong) / tried <= WRONG_GOAL, wrong[:20]


def test_every_case_spells_in_a_known_way() -> None:
    ids = {trial.id.split()[1] for trial in trials()}
    assert ids == set(SPELLINGS)


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_every_entry_counts_on_its_own_side_alone(language: Language) -> None:
    minor, sexual = refused_words()
    for side, other, same in (("minor", sexual, minor), ("sexual", minor, sexual)):
        for number, listed in enumerate(getattr(language, side)):
            text = written(listed)
            assert is_refused(f"{text}, {other}"), f"{language.name}.{side}.{number}"
            named = f"{language.name}.{side}.{number}"
            assert not is_refused(f"{text}, {same}") or is_refused(text), named


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_doubtful_words_count_where_their_language_is_shown(language: Language) -> None:
    if not language.beside:
        return
    minor, sexual = refused_words()
    shown = language.shows[0]
    for side, other in (("minor", sexual), ("sexual", minor)):
        for number, listed in enumerate(language.beside[side]):
            name = f"{language.name}.beside.{side}.{number}"
            assert is_refused(f"{shown} {written(listed)}, {other}"), name
            assert any(
                is_refused(text) for text in (f"{written(listed)}, {other}, {letter}" for letter in language.letters)
            ), name


def test_words_for_a_whole_tag_count_only_as_one() -> None:
    english = LANGUAGES[0]
    assert english.alone is not None
    _, sexual = refused_words()
    for listed in english.alone["minor"]:
        assert is_refused(f"{written(listed)}, {sexual}")
    for listed in (each for each in english.alone["minor"] if each.isalpha()):
        assert not is_refused(f"{written(listed)} mountains, {sexual}")


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_ages_end_at_eighteen(language: Language) -> None:
    _, sexual = refused_words()
    for number, form in enumerate(language.ages):
        name = f"{language.name}.ages.{number}"
        for years in ("1", "9", "17"):
            assert is_refused(f"{written(form, years)}, {sexual}"), name
        for years in ("18", "21", "67", "112", "1,012"):
            assert not is_refused(f"{written(form, years)}, {sexual}"), name


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each.tens], ids=lambda language: language.name)
def test_a_small_number_at_the_end_of_a_great_one_is_none(language: Language) -> None:
    _, sexual = refused_words()
    word = language.number_words[3]
    for ten in language.tens:
        assert not is_refused(f"{written(language.ages[0], f'{ten} {word}')}, {sexual}"), ten
    assert is_refused(f"{written(language.ages[0], word)}, {sexual}")


def test_signs_are_numbers() -> None:
    _, sexual = refused_words()
    for language in LANGUAGES:
        if language.name in WITHOUT_SPACES:
            assert is_refused(f"{written(language.ages[0], '十二')}, {sexual}") or language.name == "korean"
            for great in ("二十", "二十一", "三十五", "百十二"):
                assert not is_refused(f"{written(language.ages[0], great)}, {sexual}")


def test_ages_of_things_are_nobodys_unless_somebody_is_near() -> None:
    _, sexual = refused_words()
    listed = read_list()
    assert len(listed.things) > 50
    for thing in listed.things:
        assert not is_refused(f"a {age(12)} {written(thing)}, {sexual}"), thing
        assert not is_refused(f"{written(thing)} aged 12 years, {sexual}"), thing
    for person in listed.persons:
        assert is_refused(f"a {age(12)} {written(listed.things[0])} {person}, {sexual}"), person
        assert is_refused(f"{person} with {written(listed.things[0])} aged 12, {sexual}"), person


def test_a_harmless_phrase_covers_only_what_it_contains() -> None:
    minor, sexual = refused_words()
    english = LANGUAGES[0]
    for phrase in english.harmless[:40]:
        assert is_refused(f"{written(phrase)}, {minor}, {sexual}")


@pytest.mark.parametrize("words", ["middlesex", "kidney", "teensy", "sextant", "therapist", "assassin", "compound", ""])
def test_words_that_only_contain_one_are_none(words: str) -> None:
    for word in refused_words():
        refuse(f"{words}, {word}", "the prompt")


def test_what_is_refused_says_so() -> None:
    with pytest.raises(RefusedError, match="the prompt: refused") as caught:
        refuse(", ".join(refused_words()), "the prompt")
    assert caught.value.exit_code == 12


def test_several_texts_are_taken_together() -> None:
    minor, sexual = refused_words()
    refuse([minor, "smile"], "the prompt")
    with pytest.raises(RefusedError):
        refuse([minor, "smile", sexual], "the prompt")


def test_a_language_is_shown_by_another_text_too() -> None:
    spanish = next(language for language in LANGUAGES if language.name == "spanish")
    assert spanish.beside is not None
    doubtful, (_, sexual) = spanish.beside["minor"][0], refused_words()
    refuse_images({"a": [doubtful], "b": [sexual]}, (), "the dataset")
    with pytest.raises(RefusedError):
        refuse_images({"a": [doubtful], "b": [sexual]}, [spanish.shows[0]], "the dataset")


def test_very_long_texts_are_judged_in_time_that_grows_with_them() -> None:
    _, sexual = refused_words()
    for junk in ("1a", "a*", "a b ", "-a", "12 year ", "か", "(", "ab"):
        refuse(junk * 4000 + sexual, "the prompt")


def test_no_such_word_stands_anywhere_else() -> None:
    """But for words that have other meanings, in which they are used."""
    listed = [written(word) for language in LANGUAGES for word in (*language.sexual, *language.either)]
    words = {word for word in listed if word.isascii() and word.isalpha() and len(word) > 3} - ELSEWHERE
    known = re.compile(rf"\b(?:{'|'.join(sorted(words))})\b", re.IGNORECASE)
    files = [
        file
        for folder in ("src", "tests", "benchmarks", "docs", "scripts", "doodle")
        for file in (ROOT / folder).rglob("*")
        if file.suffix in (".py", ".md", ".toml", ".html", ".js", ".json", ".csv", ".txt", ".ipynb")
        and file.name != "refused.toml"
        and "tokenizer" not in file.name
    ]
    assert len(files) > 500
    found = {
        f"{file.relative_to(ROOT)}: {match[0]}"
        for file in files
        for match in known.finditer(file.read_text("utf-8", errors="ignore"))
    }
    assert not found


ELSEWHERE = frozenset({"explicit", "sexual", "nsfw"})
"""Words that are used of other things, and of the refusal itself; hubs and their sidecars name a key by the last."""


def test_a_dataset_is_refused_on_its_raw_tags_and_as_a_whole(tmp_path: Path) -> None:
    minor, sexual = refused_words()
    project = make_project(tmp_path, f'[tags]\nundesired = "{sexual}"\n')
    files = save_drawings(project.root / "images", 2, caption="smile")
    files[0].with_suffix(".txt").write_text(f"{minor}, {sexual}")
    with pytest.raises(RefusedError, match=r"000\.png"):
        write_captions(project, read(project))
    files[0].with_suffix(".txt").write_text(minor)
    assert len(write_captions(project, read(project)).captions) == 2
    files[1].with_suffix(".txt").write_text(sexual)
    with pytest.raises(RefusedError):
        write_captions(project, read(project))


def test_the_trigger_and_added_tags_are_looked_at_too(tmp_path: Path) -> None:
    minor, sexual = refused_words()
    project = make_project(tmp_path, f'[tags]\nadd = "{sexual}"\n')
    save_drawings(project.root / "images", 1, caption=minor)
    with pytest.raises(RefusedError):
        write_captions(project, read(project))


@pytest.mark.parametrize("table", ["add = {1}", "style = {1}", 'images."nothing.png" = {{ add = {1} }}', "core = {1}"])
def test_additions_are_refused_even_where_a_rule_drops_them_again(tmp_path: Path, table: str) -> None:
    one, other = refused_words()
    settings = table.format(None, f'"{other}"')
    project = make_project(tmp_path, f'[tags]\n{settings}\ndescribe = "nothing"\noff = "add, style, images, trigger"\n')
    save_drawings(project.root / "images", 1, caption=one)
    with pytest.raises(RefusedError):
        write_captions(project, read(project))


def test_labels_are_looked_at_like_tags(tmp_path: Path) -> None:
    one, other = refused_words()
    project = make_project(tmp_path)
    save_drawings(project.root / "images", 1, caption=one)
    dataset = read(project)
    labelled = replace(dataset, items=tuple(replace(item, facets=(other,)) for item in dataset.items))
    assert write_captions(project, dataset).captions
    with pytest.raises(RefusedError, match=r"000\.png"):
        write_captions(project, labelled)


def test_entries_are_found_by_id() -> None:
    assert entry("things.0") == read_list().things[0]
    assert entry("japanese.minor.0") == next(each for each in LANGUAGES if each.name == "japanese").minor[0]
