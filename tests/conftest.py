"""Settings of all tests: property tests take the same cases on every machine, and as long as they need."""

from hypothesis import settings

settings.register_profile("funnelstats", deadline=None, derandomize=True)
settings.load_profile("funnelstats")
