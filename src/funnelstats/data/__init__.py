"""What was observed: exports, mappings, event logs, their audit and their sufficient statistics."""
