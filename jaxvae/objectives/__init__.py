"""`Terms` and the objectives: pure functions from log-densities to nats."""
