"""What several commands have in common: where they write, how far they are, what they ask of a run."""
