"""The nouns: frozen values and their enumerations."""
