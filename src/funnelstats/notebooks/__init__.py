"""The notebooks: find them, run them on someone's data, publish what they say."""
