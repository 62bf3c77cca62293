"""The two joined: frozen specifications that become frozen fits."""
