"""The sections of the disclosure `ml_sustainability`, one module each: figures in, blocks out."""
