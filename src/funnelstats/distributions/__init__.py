"""What could have produced the data: densities and incidences as array functions of NumPy and SciPy."""
