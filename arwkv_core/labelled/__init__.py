"""Labelled sounds of the user's own: read from folders, tables and label tracks, all that is wrong told at once."""
