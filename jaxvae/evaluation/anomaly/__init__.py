"""Scores of how strange an example is, and how well they tell outliers from inliers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
