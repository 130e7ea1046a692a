"""The OpenAI dialect, as a client: OpenAI and every host that speaks it. Knows the wire; knows no training."""
