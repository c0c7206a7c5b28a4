"""``arwkv bench``: how fast arwkv is on this machine, beside what else one might use.

``bench(part=["kernel"])`` measures and gives a `Report`. Each part checks its results first: of a path whose output is
off there is no number, but a `Failure`. ``settings`` says what can be asked for, ``targets`` what should be reached,
and each ``*_part`` measures one thing.
"""
