"""From a finished run to one artefact: exports that agree with the run, the release, its card and the registry."""
