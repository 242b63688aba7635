"""State, one step, the loop, the devices."""
