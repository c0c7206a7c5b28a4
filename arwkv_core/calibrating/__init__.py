"""Fitting of a model's calibration and thresholds to labelled clips."""
