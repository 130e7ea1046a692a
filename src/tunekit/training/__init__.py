"""The local trainer. torch, transformers and peft live only here, and never run in the host's process."""
