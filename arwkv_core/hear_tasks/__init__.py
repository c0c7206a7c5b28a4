"""Tasks of HEAR, the benchmark of audio embeddings: folders of sounds, a shallow predictor, the tasks' own measures."""
