"""The `atrous` command: one file a verb."""
