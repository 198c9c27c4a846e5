"""One file a family: its tensors, hyperparameters and vocabulary, as tables."""
