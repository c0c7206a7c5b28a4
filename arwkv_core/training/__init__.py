"""Training: a recipe and a labelled corpus in, a model folder out."""
