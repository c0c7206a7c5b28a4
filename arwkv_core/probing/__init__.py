"""A probe: what a model hears of the user's own sounds, and a logistic regression on it for a new head."""
