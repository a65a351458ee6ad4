"""What makes the weights: synthetic faces with a known pulse, training, evaluation and export."""
