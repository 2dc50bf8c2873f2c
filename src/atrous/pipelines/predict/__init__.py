"""Run a network on files and write the results: photos, slides, volumes."""
