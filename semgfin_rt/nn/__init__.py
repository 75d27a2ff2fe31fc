"""Feature-Imitating Networks, classifiers, checkpoints and the backends that run them."""
