"""The training loop and what runs it."""
