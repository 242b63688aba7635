"""How examples come to the compiled steps: whole to the device, or read ahead a block at a time."""
