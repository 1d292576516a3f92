"""A whole fleet in memory: the real core over ports in memory, in virtual time. Nothing of it touches the outside."""
