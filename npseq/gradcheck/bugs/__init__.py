"""Bugs to plant in a layer, and the recognition of one in a wrong gradient."""
