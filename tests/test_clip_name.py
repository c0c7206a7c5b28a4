"""Names of clips are safe, different, and what the template says."""

from datetime import datetime, timedelta, timezone
from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arwkv_core.clip_name import FIELDS, MOST_BYTES, NameBook, NameTemplate, clock_text, safe_name
from arwkv_core.errors import UsageError
from arwkv_core.file_name_time import read_file_name

VALUES = {
    "stem": "dawn",
    "name": "dawn.flac",
    "folder": "north",
    "class": "Dog",
    "mid": "/m/0bt9lr",
    "start": 12.48,
    "end": 13.5,
    "index": 7,
    "score": 0.987,
    "mean": 0.5,
    "clock": "20260514T053000",
}


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{stem}_{start}_{class}", "dawn_00012.480_Dog"),
        ("{stem}_{index}", "dawn_0007"),
        ("{index:d}", "7"),
        ("{start:.0f}-{end:.1f}", "12-13.5"),
        ("{class}/{name}@{clock}", "Dog/dawn.flac@20260514T053000"),
        ("{mid}_{score}", "_m_0bt9lr_0.99"),
        ("{{{index}}}", "{0007}"),
        ("klangfülle {class} 犬", "klangfülle Dog 犬"),
    ],
)
def test_templates(template: str, name: str) -> None:
    assert NameTemplate(template).format(VALUES) == PurePath(name)


@pytest.mark.parametrize(
    "template",
    [
        "",
        "clip",
        "{}",
        "{0}",
        "{what}",
        "{class.__class__}",
        "{stem[0]}",
        "{stem!r}",
        "{stem",
        "{start:%}x}",
        "{index:99999999999}",
        "{start:q}",
        "{class:.2f}",
        "{start:{index}}",
        "/tmp/{stem}",
        "../{stem}",
        "a/./{stem}",
        "{class}/",
        "{class}//{stem}",
    ],
)
def test_templates_that_can_not_work_are_refused_at_once(template: str) -> None:
    with pytest.raises(UsageError, match="--name-template"):
        NameTemplate(template)


def test_no_value_leaves_the_folder() -> None:
    evil = dict.fromkeys(FIELDS, "../../etc") | {
        "index": 1,
        "start": 0.0,
        "end": 0.0,
        "score": 0.0,
        "mean": 0.0,
    }
    for template in ("{stem}", "{class}/{stem}", "{folder}/{name}"):
        name = NameTemplate(template).format(evil)
        assert ".." not in name.parts
        assert len(name.parts) == template.count("/") + 1


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("", "clip"),
        (" . ", "_ "),
        ("..", "clip"),
        (".hidden", "_.hidden"),
        ("-rf", "_-rf"),
        ("CON", "_CON"),
        ("nul.x", "_nul.x"),
        ("console", "console"),
        ("a\tb\nc\0d", "a_b_c_d"),
        ('a/b\\c:d*e?f"g<h>i|j', "a_b_c_d_e_f_g_h_i_j"),
        ("undecodable \udcff", "undecodable _"),
        ("turned \u202egnp", "turned _gnp"),
        ("Vögel, 鳥 🐦", "Vögel, 鳥 🐦"),
    ],
)
def test_names_are_safe(text: str, safe: str) -> None:
    assert safe_name(text) == (safe if safe != "_ " else "clip")


@given(st.text(max_size=400))
def test_every_name_is_safe(text: str) -> None:
    name = safe_name(text)
    assert 0 < len(name.encode()) <= MOST_BYTES + 1
    assert "/" not in name
    assert "\0" not in name
    assert not name.startswith((".", "-"))
    assert name == name.rstrip(" .")
    assert safe_name(name) == name


def test_no_name_is_given_twice() -> None:
    book = NameBook()
    assert book.take(PurePath("a"), ".wav") == "a.wav"
    assert book.take(PurePath("a_2"), ".wav") == "a_2.wav"
    assert book.take(PurePath("a"), ".wav") == "a_3.wav"
    assert book.take(PurePath("A"), ".wav") == "A_4.wav"
    assert book.take(PurePath("é"), ".wav") == "é.wav"
    assert book.take(PurePath("e\u0301"), ".wav") == "e\u0301_2.wav"
    assert book.take(PurePath("x/a"), ".wav") == "x/a.wav"


@given(st.lists(st.sampled_from(["a", "A", "a_2", "a_3", "a_2_2", "ß", "ss", "ﬁ", "fi"]), max_size=30))
def test_no_names_collide(wanted: list[str]) -> None:
    book = NameBook()
    given = [book.take(PurePath(name), ".wav").casefold() for name in wanted]
    assert len(set(given)) == len(given)


def test_times_in_names_are_read_back() -> None:
    for zone in (
        None,
        timezone.utc,
        timezone(timedelta(hours=-3, minutes=-30)),
        timezone(timedelta(hours=2)),
    ):
        for microsecond in (0, 160_000):
            time = datetime(2026, 5, 14, 5, 30, 0, microsecond, tzinfo=zone)
            assert read_file_name(f"{clock_text(time)}_Dog") == time
    assert clock_text(None) == ""
