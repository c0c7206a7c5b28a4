"""The network alone, on windows whose log-mels are there: A-RWKV of all shapes, and its peers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from arwkv_core.constants import HOP_SECONDS
from arwkv_core.recording import BATCH_FRAMES

from .correctness import WrongOutput, require_close, require_finite
from .model_check import check_tagger
from .outcome import Failure, NotRun, Outcome, row
from .peers import PEERS, Peer
from .peers.peer import PeerMissing
from .precisions import load_on_cpu, resolved_precisions
from .recordings import log_mels
from .settings import Settings
from .timing import Action, ratios, side_by_side
from .workplace import Workplace

PEER_TOLERANCE = 5e-2
"""Of a peer in bfloat16 against itself in float32, relative to the largest logit."""

COMPARED = "S"
"""The shape that has a target against AST-B."""


def measure_models(settings: Settings, place: Workplace) -> Iterator[Outcome]:
    """Measure each shape in each precision, with the peers beside it."""
    for precision in resolved_precisions(settings.precision):
        yield from _measure_precision(settings, place, precision)


def _measure_precision(settings: Settings, place: Workplace, precision: str) -> Iterator[Outcome]:
    actions: dict[str, Action] = {}
    seconds_of_sound: dict[str, float] = {}
    titles: dict[str, tuple[str, str]] = {}
    for shape in settings.model:
        key, what = f"model.{shape}.{precision}", f"A-RWKV-{shape}, {precision}"
        try:
            tagger = load_on_cpu(place.random_model(shape), precision)
            check_tagger(tagger, precision)
        except WrongOutput as error:
            yield Failure(key, what, str(error))
            continue
        windows = max(1, BATCH_FRAMES // tagger.window_frames)
        features = torch.from_numpy(log_mels(windows, tagger.window_frames))
        actions[key] = partial(tagger.scores, features)
        seconds_of_sound[key] = windows * tagger.window_frames * HOP_SECONDS
        titles[key] = what, f"{windows} windows at once, random weights"
    for peer in PEERS:
        key, what = f"model.{peer.key}.{precision}", f"{peer.what}, {precision}"
        try:
            action = _prepared(peer, precision)
        except PeerMissing as missing:
            yield NotRun(key, what, str(missing))
        except WrongOutput as error:
            yield Failure(key, what, str(error))
        else:
            actions[key] = action
            seconds_of_sound[key] = peer.windows * peer.seconds
            titles[key] = (
                what,
                ", ".join(filter(None, [f"{peer.windows} at once, random weights", peer.note])),
            )
    with torch.inference_mode():
        seconds = side_by_side(actions, settings.repeats)
    for key, runs in seconds.items():
        what, note = titles[key]
        yield row(key, what, "× real time", [seconds_of_sound[key] / t for t in runs], note=note)
    yield from _against_ast(seconds, seconds_of_sound, settings, precision)


def _against_ast(
    seconds: dict[str, list[float]], sound: dict[str, float], settings: Settings, precision: str
) -> Iterator[Outcome]:
    ast = f"model.ast.{precision}"
    if ast not in seconds:
        return
    for shape in settings.model:
        ours = f"model.{shape}.{precision}"
        if ours in seconds:
            a_second = {key: [t / sound[key] for t in seconds[key]] for key in (ast, ours)}
            yield row(
                f"model.{shape}_against_ast" + ("" if precision == "fp32" else f".{precision}"),
                f"A-RWKV-{shape} against AST-B, both {precision}",
                "× as fast",
                ratios(a_second[ast], a_second[ours]),
            )


def _prepared(peer: Peer, precision: str) -> Action:
    """Build a peer, hold its result against float32, and give what is to be timed."""
    if obstacle := peer.obstacle():
        raise PeerMissing(obstacle)
    if precision == "int8" or (precision == "bf16" and not peer.bfloat16):
        raise PeerMissing(f"is not measured in {precision}")
    network, inputs = peer.build(), peer.inputs(peer.windows)

    def logits() -> Tensor:
        with torch.inference_mode():
            return network(inputs)

    found = logits()
    require_finite(peer.what, found)
    if found.shape[0] != inputs.shape[0] or found.ndim != 2:
        raise WrongOutput(f"{peer.what}: expected a row of scores a window, found shape {tuple(found.shape)}")
    if precision == "bf16":
        network, inputs = network.bfloat16(), inputs.bfloat16()
        require_close(f"{peer.what}, bf16", logits().float(), found, PEER_TOLERANCE)
    return logits
