"""Settings of all tests: property tests take the same cases on every machine, and as long as they need."""

from hypothesis import settings

from funnelstats.report import theme

settings.register_profile("funnelstats", deadline=None, derandomize=True)
settings.load_profile("funnelstats")


def pytest_configure(config):
    if len(theme.fonts()) == 1:  # a machine without Chinese letters is right to say so; what can be tested there still is
        config.addinivalue_line("filterwarnings", "ignore:no installed font can draw")
        config.addinivalue_line("filterwarnings", "ignore:Glyph [0-9]+ .* missing from font")
