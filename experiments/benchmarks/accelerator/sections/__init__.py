"""One file for each section: `parts(tiny)` gives its parts by name, each a function and the numbers it notes."""
