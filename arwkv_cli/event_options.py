"""The options that say what counts as an event, for all commands that find events."""

from typing import Annotated

import typer

On = Annotated[
    float | None,
    typer.Option(
        metavar="SCORE",
        help="Start an event where the smoothed score reaches this, 0 to 1."
        "  [default: the class's, in the model's folder]",
    ),
]
Off = Annotated[
    float | None,
    typer.Option(
        metavar="SCORE", help="End it where the smoothed score falls below this.  [default: 0.6 × --on]"
    ),
]
Median = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Smooth scores by their running median over so many seconds; 0 smooths nothing.  [default: 0.48]",
    ),
]
MinDuration = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Leave out shorter events.  [default: 0.32]"),
]
MergeGap = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        help="Join events of a class with a gap between them that is not longer.  [default: 0.64]",
    ),
]
RollUp = Annotated[
    bool,
    typer.Option(
        "--roll-up/--no-roll-up",
        help="Report a class only where no reported class below it in AudioSet's ontology explains it: "
        "a bark is not listed again as Dog and as Animal.",
    ),
]
Groups = Annotated[
    str | None,
    typer.Option(
        metavar="basic|FILE",
        help="Report groups instead of classes: `basic` is speech, music, singing, laughter & applause, "
        "animals, vehicles, alarms, nature, silence; a TOML file says which classes make up your own.",
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="When the recording began, as 2026-05-14T05:30:00+02:00; the zone may be left out."
        "  [default: what its metadata or its name say]",
    ),
]
