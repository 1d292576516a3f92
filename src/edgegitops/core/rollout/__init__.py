"""Whether a release may start here now."""
