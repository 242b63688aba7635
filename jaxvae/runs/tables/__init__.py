"""Runs of tables and of counts: their columns, between the units of the user and those of the model."""
