"""How compiled code runs: compilation, its cache, teams of threads, random numbers, records."""
