"""Measuring a model on annotated recordings, on tasks, and what is made of the numbers."""
