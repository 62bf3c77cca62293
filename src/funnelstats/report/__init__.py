"""How to say it so that it can be cited."""
