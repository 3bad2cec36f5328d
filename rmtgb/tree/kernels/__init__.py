"""The compiled part of the tree core."""
