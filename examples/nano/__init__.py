"""How the embedded base model `nano` is made: corpus, tokenizer, first weights, model card.

Knows sources of text and the model's shape; knows nothing of training, which is tunekit's job.
"""
