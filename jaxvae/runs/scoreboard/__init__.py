"""A scoreboard: one contender of each family, trained on the same data for the same processor time, in folders."""
