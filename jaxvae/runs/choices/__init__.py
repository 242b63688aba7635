"""One table of what can be chosen by name: kinds of model, priors, posteriors, likelihoods, bounds and penalties."""
