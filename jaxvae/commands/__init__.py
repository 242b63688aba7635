"""What the command line offers: training a run, measuring it, looking at it."""
