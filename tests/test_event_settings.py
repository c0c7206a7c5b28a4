"""Which numbers hold for a class: the user's, the model's, or the built-in ones; and what is refused."""

from pathlib import Path

import pytest

from arwkv_core.errors import ConfigError, UsageError
from arwkv_core.event_defaults import ClassDefaults, EventDefaults, read_class_defaults
from arwkv_core.event_settings import EventSettings

HEADER = "mid,display_name,on,off,median,min_duration,merge_gap\n"


def numbers(own: ClassDefaults, threshold: float = 0.5, **options: float) -> tuple[float, ...]:
    found = EventSettings(**options).numbers("Speech", own, EventDefaults(threshold))
    return (found.on, found.off, found.median, found.min_duration, found.merge_gap)


def test_the_user_comes_first_then_the_model_then_what_is_built_in() -> None:
    none, own = ClassDefaults(), ClassDefaults(0.3, 0.25, 1.0, 2.0, 3.0)
    assert numbers(none) == (0.5, 0.3, 0.48, 0.32, 0.64)
    assert numbers(none, 0.1) == (0.1, pytest.approx(0.06), 0.48, 0.32, 0.64)
    assert numbers(own) == (0.3, 0.25, 1.0, 2.0, 3.0)
    assert numbers(ClassDefaults(on=0.3)) == (0.3, pytest.approx(0.18), 0.48, 0.32, 0.64)
    assert numbers(own, on=0.8) == (0.8, pytest.approx(0.48), 1.0, 2.0, 3.0)  # its off belongs to its on
    assert numbers(own, on=0.2, off=0.2) == (0.2, 0.2, 1.0, 2.0, 3.0)
    assert numbers(own, off=0.1, median=0, min_duration=0, merge_gap=0) == (0.3, 0.1, 0, 0, 0)
    with pytest.raises(UsageError, match=r"--off: expected at most 0.3, where events of 'Speech' start"):
        numbers(own, off=0.4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on": 1.1}, "--on: expected a score from 0 to 1, found 1.1"),
        ({"on": -0.1}, "--on"),
        ({"off": float("nan")}, "--off: expected a score from 0 to 1, found nan"),
        ({"on": 0.4, "off": 0.5}, "--off: expected at most 0.4, which is --on, found 0.5"),
        ({"median": 61}, "--median: expected 0 to 60 seconds, found 61"),
        ({"median": -1}, "--median"),
        ({"min_duration": float("inf")}, "--min-duration: expected 0 or more seconds, found inf"),
        ({"merge_gap": -0.5}, "--merge-gap: expected 0 or more seconds, found -0.5"),
        ({"merge_gap": float("nan")}, "--merge-gap"),
        ({"groups": "nowhere.toml"}, "--groups nowhere.toml: can't be read"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EventSettings(**options)


def test_settings_are_plain_data() -> None:
    settings = EventSettings(on=0.4, include="Speech", exclude=["a", "b"], groups="basic", roll_up=False)
    assert settings.to_dict() == {
        "on": 0.4,
        "off": None,
        "median": None,
        "min_duration": None,
        "merge_gap": None,
        "include": ["Speech"],
        "exclude": ["a", "b"],
        "roll_up": False,
        "groups": "basic",
        "raw_scores": False,
    }
    assert hash(settings) == hash(
        EventSettings(0.4, None, None, None, None, ["Speech"], ("a", "b"), False, "basic")
    )


def write(folder: Path, text: str) -> Path:
    path = folder / "events.csv"
    path.write_text(text, "utf-8")
    return path


def test_a_models_file(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER + '/m/a,"Speech, or so",0.4,0.3,,0,\n\n/m/b,Dog,0.25,,1.5,,2\n')
    assert read_class_defaults(path) == {
        "/m/a": ClassDefaults(on=0.4, off=0.3, min_duration=0.0),
        "/m/b": ClassDefaults(on=0.25, median=1.5, merge_gap=2.0),
    }
    assert EventDefaults.of_folder(tmp_path, 0.2).classes.keys() == {"/m/a", "/m/b"}
    assert read_class_defaults(write(tmp_path, "\ufeffmid\n/m/a\n")) == {"/m/a": ClassDefaults()}
    assert EventDefaults.of_folder(tmp_path).classes.keys() == {"/m/a"}  # what was changed is read again
    path.unlink()
    assert EventDefaults.of_folder(tmp_path, 0.2) == EventDefaults(0.2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ", line 1: expected the column 'mid' once, found ''"),
        ("name,on\n", ", line 1: expected the column 'mid' once, found 'name,on'"),
        ("mid,on,on\n", ", line 1: expected the column 'on' once"),
        ("mid,on\n/m/a\n", ", line 2: expected 2 fields, found 1"),
        ("mid,on\n,0.5\n", ", line 2: mid: expected a class, found nothing"),
        ("mid,on\n/m/a,0.5\n/m/a,0.4\n", ", line 3: mid: '/m/a' stands there twice"),
        ("mid,on\n/m/a,loud\n", ", line 2: on: expected a number, found 'loud'"),
        ("mid,on\n/m/a,nan\n", ", line 2: on: expected a score from 0 to 1, found nan"),
        ("mid,median\n/m/a,99\n", ", line 2: median: expected 0 to 60 seconds, found 99"),
        ("mid,merge_gap\n/m/a,-1\n", ", line 2: merge_gap: expected 0 or more seconds, found -1"),
        ("mid,on,off\n/m/a,,0.3\n", ", line 2: off: expected a number in the column on as well"),
        ("mid,on,off\n/m/a,0.2,0.3\n", ", line 2: off: expected at most 0.2, which is on, found 0.3"),
        ('mid,on\n"/m/a"x,0.3\n', ", line 2: not CSV"),
    ],
)
def test_a_damaged_file_is_told_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_class_defaults(path)
    assert str(caught.value).startswith(f"{path}{message}")
    (tmp_path / "events.csv").write_bytes(b"mid\n\xff\n")
    with pytest.raises(ConfigError, match="expected CSV in UTF-8"):
        read_class_defaults(path)
    with pytest.raises(ConfigError, match="can't be read"):
        read_class_defaults(tmp_path)


def test_the_bundled_model_brings_numbers_of_its_own() -> None:
    import arwkv_models
    from arwkv_core.constants import DEFAULT_MODEL

    model = arwkv_models.find(DEFAULT_MODEL)
    own = EventDefaults.of_folder(model.folder).classes
    assert own
    assert set(own) <= set(model.labels.mids)
    assert all(0.1 <= numbers.on <= 0.9 for numbers in own.values() if numbers.on is not None)


def test_an_added_model_keeps_its_numbers_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    from fake_models import THREE_CLASSES, THREE_LABELS, random_model, three_class_config

    import arwkv_models
    from arwkv_core.checkpoint import save_model_folder

    folder = tmp_path / "gate"
    save_model_folder(folder, random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "card")
    write(folder, "mid,on\n/m/09x0r,0.4\n")
    added = arwkv_models.add(folder, "own")
    assert EventDefaults.of_folder(added.folder).classes == {"/m/09x0r": ClassDefaults(on=0.4)}
    write(added.folder, "mid,on\n/m/09x0r,4\n")
    with pytest.raises(ConfigError, match="line 2: on"):
        added.verify()
    write(folder, "mid,on\n/m/09x0r,4\n")
    with pytest.raises(ConfigError, match="line 2: on"):
        arwkv_models.add(folder, "another")
