"""What ``arwkv bench`` compares with: found where it is installed, named with the reason where it is not."""

import importlib.util
from pathlib import Path

import pytest

from arwkv_core.benchmark import model_part
from arwkv_core.benchmark.length_curve import Point
from arwkv_core.benchmark.outcome import NotRun, Row
from arwkv_core.benchmark.peers import PEERS, yamnet
from arwkv_core.benchmark.peers.peer import Peer, PeerMissing
from arwkv_core.benchmark.settings import Settings
from arwkv_core.benchmark.workplace import Workplace


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.key)
def test_a_peer_scores_windows(peer: Peer) -> None:
    import dataclasses

    one = dataclasses.replace(peer, windows=1)
    try:
        scores = model_part._prepared(one, "fp32")()
    except PeerMissing as missing:
        pytest.skip(str(missing))
    assert scores.shape[0] == 1  # type: ignore[attr-defined]  # an action may give anything


def test_peers_that_are_missing_are_named_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    wanted = {name for peer in PEERS for name in peer.packages}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in wanted else find(name, *rest)
    )
    settings = Settings(model=("T",), precision=("fp32",), repeats=1)
    with Workplace(settings) as place:
        outcomes = list(model_part.measure_models(settings, place))
    absent = [outcome for outcome in outcomes if isinstance(outcome, NotRun)]
    assert [outcome.key for outcome in absent] == [f"model.{peer.key}.fp32" for peer in PEERS]
    assert all("pip install" in outcome.reason for outcome in absent)
    assert [outcome.key for outcome in outcomes if isinstance(outcome, Row)] == ["model.T.fp32"]


def test_yamnet_asks_for_its_model_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(yamnet.MODEL_VARIABLE, raising=False)
    with pytest.raises(PeerMissing, match=yamnet.MODEL_VARIABLE):
        yamnet.build()
    monkeypatch.setenv(yamnet.MODEL_VARIABLE, str(tmp_path / "none.tflite"))
    with pytest.raises(PeerMissing, match="there is no such file"):
        yamnet.build()


def test_curves_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from arwkv_core.benchmark.length_plot import draw

    points = [
        Point(model, length, length * speed, memory)
        for model, speed, memory in (("A-RWKV-S", 0.01, 5_000_000), ("AST-B", 0.1, None))
        for length in (10, 60, 600)
    ]
    draw(points, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
