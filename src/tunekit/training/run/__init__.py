"""The run directory and the life of a training process in it: events, checkpoints, locks, leaving and going on."""
