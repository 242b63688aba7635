"""Other libraries on a board: each trains its own example in an interpreter of its own, and is scored by this one."""
