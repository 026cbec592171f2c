"""Programs that measure. README.md says which there are."""
