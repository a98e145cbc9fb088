"""The shipped files; where they come from is in PROVENANCE.md."""
