"""What the lectures show, one script each."""
