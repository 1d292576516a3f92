"""What would change, asked before a node sees it."""
