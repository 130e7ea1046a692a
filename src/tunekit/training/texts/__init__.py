"""Examples as tokens. Training, generation and scoring all come through here."""
