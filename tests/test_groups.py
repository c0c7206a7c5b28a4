"""Groups: which classes make them up, and that a group is on where any of its members is."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arwkv_core.constants import STEP_SECONDS
from arwkv_core.errors import UsageError
from arwkv_core.event_defaults import ClassDefaults, EventDefaults
from arwkv_core.event_plan import EventPlan
from arwkv_core.event_settings import EventSettings
from arwkv_core.groups import BASIC, Groups
from arwkv_core.labels import LabelSet
from arwkv_core.score_codec import rounded

AUDIOSET = LabelSet.audioset()
SMALL = LabelSet(
    ["/m/09x0r", "/m/04rlf", "/m/028v0c", "/m/05tny_", "own:gate"],
    ["Speech", "Music", "Silence", "Bark", "Garden gate"],
    "the small model",
)


def toml(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "groups.toml"
    path.write_text(text, "utf-8")
    return path


def test_the_basic_groups_over_audioset() -> None:
    groups = Groups.read(BASIC).columns(AUDIOSET)
    assert list(groups) == [
        "speech",
        "music",
        "singing",
        "laughter & applause",
        "animals",
        "vehicles",
        "alarms",
        "nature",
        "silence",
    ]
    names = {group: {AUDIOSET.names[i] for i in columns} for group, columns in groups.items()}
    assert {"Speech", "Conversation", "Child speech, kid speaking", "Whispering"} <= names["speech"]
    assert {"Music", "Guitar", "Jazz", "Drum"} <= names["music"]
    assert {"Singing", "Choir", "Rapping", "A capella"} <= names["singing"]
    assert not names["music"] & names["singing"]
    assert {"Laughter", "Giggle", "Applause", "Cheering", "Clapping"} <= names["laughter & applause"]
    assert {"Bark", "Crow", "Insect", "Purr"} <= names["animals"]
    assert {"Car", "Train", "Helicopter", "Engine"} <= names["vehicles"]
    assert {"Siren", "Fire alarm", "Car alarm", "Telephone bell ringing"} <= names["alarms"]
    assert not names["vehicles"] & names["alarms"]
    assert {"Rain", "Wind", "Thunder", "Stream"} <= names["nature"]
    assert names["silence"] == {"Silence"}
    everywhere = [name for group in names.values() for name in group]
    assert len(everywhere) > 320
    assert len(everywhere) == len(set(everywhere))  # nothing is reported as two of them


def test_a_model_with_fewer_classes() -> None:
    assert Groups.read(BASIC).columns(SMALL) == {
        "speech": [0],
        "music": [1],
        "animals": [3],  # by the ontology: the group names Animal alone
        "silence": [2],
    }
    with pytest.raises(UsageError, match="--groups basic: the model has none of their classes"):
        Groups.read(BASIC).columns(LabelSet(["own:gate"], ["Garden gate"]))


def test_own_groups(tmp_path: Path) -> None:
    path = toml(
        tmp_path,
        '[groups]\n"dogs, gates" = ["dog", "GARDEN GATE"]\nsound = ["/m/0jbk", "Speech", "Human voice"]\n'
        'late = ["Music"]\n[exclude]\nsound = ["Dog"]\nlate = ["/m/04rlf"]\n',
    )
    groups = Groups.read(path)
    assert groups.columns(SMALL) == {"dogs, gates": [3, 4], "sound": [0]}
    assert str(groups) == str(path)
    sound = {AUDIOSET.names[i] for i in groups_without_own(tmp_path).columns(AUDIOSET)["sound"]}
    assert "Cat" in sound
    assert not sound & {"Dog", "Bark", "Howl", "Growling"}


def groups_without_own(tmp_path: Path) -> Groups:
    return Groups.read(toml(tmp_path, '[groups]\nsound = ["Animal"]\n[exclude]\nsound = ["Dog"]\n'))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "groups: expected at least one group, found none"),
        ("[groups]", "groups: expected at least one group"),
        ("groups = 3", "groups: expected a table, found 3"),
        ("[groups]\na = 'Speech'", r"groups.a: expected a list of classes, found 'Speech'"),
        ("[groups]\na = [1]", r"groups.a: expected a list of classes, found \[1\]"),
        ("[groups]\na = []", r"groups.a: expected at least one class"),
        ("[groups]\n'' = ['Speech']", "groups: expected a name, found ''"),
        ("[groups]\n\"a\\n\" = ['Speech']", "groups: expected a name"),
        ("[groups]\na = ['Speech']\n[excludes]\na = ['Music']", "excludes: unknown table"),
        ("[groups]\na = ['Speech']\n[exclude]\nb = ['Music']", "exclude.b: there is no group 'b'"),
        ("[groups]\nA = ['Speech']\na = ['Music']", "groups: expected names that differ .* 'A', 'a'"),
        ("[groups", "not TOML"),
    ],
)
def test_damaged_files_are_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"^--groups .*groups.toml: {message}"):
        Groups.read(toml(tmp_path, text))


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    unknown = Groups.read(toml(tmp_path, "[groups]\na = ['Speech', 'Laugter']\n"))
    with pytest.raises(
        UsageError, match=r"groups.a: no class 'Laugter' in the small model and .* 'Laughter'"
    ):
        unknown.columns(SMALL)
    with pytest.raises(UsageError, match=r"--groups basics: can't be read.*'basic'"):
        Groups.read("basics")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(UsageError, match="not TOML"):
        Groups.read(tmp_path / "latin.toml")


def plan(labels: LabelSet, groups: str | Path, defaults: EventDefaults | None = None, **options) -> EventPlan:
    return EventPlan.of(EventSettings(groups=groups, **options), labels, defaults or EventDefaults())


def test_include_and_exclude_name_groups() -> None:
    assert plan(AUDIOSET, BASIC, include="Speech").names == ("speech",)
    assert plan(AUDIOSET, BASIC, include=["group:music", "speech"]).names == ("speech", "music")
    assert plan(AUDIOSET, BASIC, exclude=["animals", "MUSIC"]).names == (
        *("speech", "singing", "laughter & applause", "vehicles", "alarms", "nature", "silence"),
    )
    with pytest.raises(
        UsageError, match=r"--include: no group 'Dog'; with --groups basic, there are 'speech'"
    ):
        plan(AUDIOSET, BASIC, include="Dog")
    with pytest.raises(UsageError, match="no group is left"):
        plan(AUDIOSET, BASIC, include="music", exclude="music")
    with pytest.raises(UsageError, match="no group is left"):
        plan(SMALL, BASIC, include="singing")  # known, but the model has none of its classes


@given(st.integers(0, 2**32), st.integers(1, 200))
def test_a_group_is_on_where_a_member_is_and_its_score_is_the_highest(seed, steps) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.choice(
        [0, 0.2, 0.35, 0.5, 0.9], (steps // 5 + 1, len(AUDIOSET)), p=[0.96, 0.01, 0.01, 0.01, 0.01]
    )
    scores = np.repeat(levels, 5, axis=0)[:steps].astype(np.float32)
    own = {
        mid: ClassDefaults(on=float(on))
        for mid, on in zip(AUDIOSET.mids, rng.choice([0.3, 0.6], 527), strict=True)
    }
    found = plan(AUDIOSET, BASIC, EventDefaults(0.5, own), median=0, min_duration=0, merge_gap=0)
    search = found.search()
    search.add(scores)
    events = search.finish(steps * STEP_SECONDS)
    for group, columns in Groups.read(BASIC).columns(AUDIOSET).items():
        mine = rounded(scores[:, columns])
        on = np.array([own[AUDIOSET.mids[i]].on for i in columns], np.float32)
        active = np.zeros(steps, bool)
        sounding = False
        for i in range(steps):
            high, low = (mine[i] >= on).any(), (mine[i] >= (0.6 * on.astype(float)).astype(np.float32)).any()
            sounding = high or (sounding and low)
            active[i] = sounding
        covered = np.zeros(steps, bool)
        for event in (e for e in events if e.name == group):
            assert event.mid == f"group:{group}"
            first, last = round(event.start / STEP_SECONDS), round(event.end / STEP_SECONDS)
            covered[first:last] = True
            assert event.max == mine[first:last].max()
            assert event.mean == pytest.approx(mine[first:last].max(axis=1).astype(float).mean(), abs=1e-7)
        np.testing.assert_array_equal(covered, active)


def test_numbers_for_groups() -> None:
    own = {"/m/09x0r": ClassDefaults(0.9, 0.8, 5.0, 9.0, 9.0)}
    found = plan(SMALL, BASIC, EventDefaults(0.5, own))
    search = found.search()
    scores = np.zeros((100, 5), np.float32)
    scores[10:20, 0] = 0.7  # below what starts speech
    scores[40:44, 0] = (
        0.95  # shorter than what the model's folder says of speech, but long enough for a group
    )
    search.add(scores)
    events = search.finish(16.0)
    assert [(e.name, e.start) for e in events] == [("speech", 40 * STEP_SECONDS)]
    assert [e.name for e in run(plan(SMALL, BASIC, EventDefaults(0.5, own), on=0.6), scores)] == [
        "speech"
    ] * 2


def run(found: EventPlan, scores: np.ndarray) -> list:
    search = found.search()
    search.add(scores)
    return search.finish(len(scores) * STEP_SECONDS)
