"""State, losses, one pure step, the loop, devices and checkpoints."""
