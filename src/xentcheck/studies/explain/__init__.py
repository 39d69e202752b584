"""Why dC/db = a - y: the derivation in a few lines, each step beside the frameworks, and a picture to play with."""
