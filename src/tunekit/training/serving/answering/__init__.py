"""How the models of each family answer: one file per family. `generate` asks them, and knows no family."""
