"""Speed and memory of funnelstats beside its peers, in one run: ``python -m benchmarks [NAME]``."""
