"""Virtual nodes on one machine."""
