"""Everything with parameters: layers, losses, models."""
