"""How draws are obtained. The only place that knows PyMC and ArviZ."""
