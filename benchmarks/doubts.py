"""Where the teacher is not believed: in clips whose source states what sounds, steady noises that it takes for it.

YAMNet hears a stream in rain and a motorboat in a helicopter, and a model that learns from its scores does too. A
stated class overrides the teacher in training, but says nothing of what does not sound; this does.
"""

import json
from pathlib import Path

import numpy as np

MISTAKEN = """
Rain;Raindrop;Rain on surface;Helicopter;Stream;Waterfall;Ocean;Waves, surf;Wind;Wind noise (microphone);Steam;Hiss;
White noise;Pink noise;Noise;Static;Environmental noise;Applause;Cheering;Crowd;Fireworks;Frying (food);Pour;
Water tap, faucet;Gurgling;Vehicle;Boat, Water vehicle;Motorboat, speedboat;Ship;Rowboat, canoe, kayak;
Motor vehicle (road);Car;Truck;Bus;Motorcycle;Traffic noise, roadway noise;Rail transport;Train;Aircraft;Engine;
Fixed-wing aircraft, airplane;Jet engine;Machine gun;Power tool;Tools;Drill;Sawing;Vacuum cleaner;Mechanical fan;
Hair dryer;Sewing machine;Mechanisms;Gunshot, gunfire;Explosion
""".replace("\n", "").split(";")
"""Steady noises that the teacher and the model take for one another."""

DOUBT = 0.2
"""Factor on the scores of what a clip can't be."""

RAINS = {"Rain", "Raindrop", "Rain on surface"}
RAINY = {"Thunderstorm", "Thunder", "Speech", "Music"}
"""Beside these it may well rain unstated."""


class Doubts:
    """Lowers the teacher's scores where the source of a clip states another class.

    Parameters
    ----------
    labels : list of str
        Names of the classes, in their order.
    ontology : Path
        AudioSet's.
    """

    def __init__(self, labels: list[str], ontology: Path) -> None:
        nodes = {node["id"]: node for node in json.loads(ontology.read_text(encoding="utf-8"))}
        self._index = {name: k for k, name in enumerate(labels)}
        self._below: dict[str, set[str]] = {}
        for node in nodes.values():
            below, waiting = set(), list(node["child_ids"])
            while waiting:
                child = nodes[waiting.pop()]
                below.add(child["name"])
                waiting += child["child_ids"]
            self._below[node["name"]] = below

    def apply(self, scores: np.ndarray, known: tuple[str, ...]) -> None:
        """Lower the scores of what a clip can't be, in place.

        Parameters
        ----------
        scores : ndarray of uint8, shape (frames, classes)
        known : tuple of str
            What its source states; if nothing, nothing is doubted.
        """
        if not known:
            return
        right = self.compatible(known)
        if {"Rain", "Helicopter"} & set(known):
            wrong = set(MISTAKEN) - right
        elif RAINY & right:
            wrong = set()
        else:
            wrong = (RAINS | {"Helicopter"}) - right
        columns = [self._index[name] for name in sorted(wrong)]
        scores[:, columns] = np.round(scores[:, columns] * DOUBT)

    def compatible(self, known: tuple[str, ...]) -> set[str]:
        """The stated classes, what contains them, and what the most special of them contain."""
        right = set(known) | {name for name, below in self._below.items() if below & set(known)}
        for name in known:
            if not self._below[name] & set(known):
                right |= self._below[name]
        return right
