"""Settings of all tests: property tests take the same cases on every machine, and as long as they need."""

import pytest
from hypothesis import settings

from funnelstats.models.hierarchical import HierarchicalConversion
from funnelstats.report import theme

settings.register_profile("funnelstats", deadline=None, derandomize=True)
settings.load_profile("funnelstats")


def pytest_configure(config):
    if len(theme.fonts()) == 1:  # a machine without Chinese letters is right to say so; what can be tested there still is
        config.addinivalue_line("filterwarnings", "ignore:no installed font can draw")
        config.addinivalue_line("filterwarnings", "ignore:Glyph [0-9]+ .* missing from font")


@pytest.fixture(scope="module")
def unsampled():
    """The crossed model by draws of its prior, for tests that ask what is made of a fit, not how good it is: no sampler, no time."""
    fit = HierarchicalConversion.fit

    def quick(model, data, *, seed, draws, tune, chains):
        return fit(model, data, seed=seed, draws=draws, chains=chains, method="prior")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HierarchicalConversion, "fit", quick)
        yield
