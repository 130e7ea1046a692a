"""How models are asked for an evaluation. Knows backends, money, time and what was asked before; not what is right."""
