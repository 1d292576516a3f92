"""The pure core: it decides and cannot touch anything."""
