"""Residual networks of pictures, and the blocks that they share with a U-Net."""
