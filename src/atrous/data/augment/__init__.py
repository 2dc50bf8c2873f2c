"""Random views of samples: photos, patches of slides, volumes."""
