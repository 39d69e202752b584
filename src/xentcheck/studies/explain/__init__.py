"""Why dC/db = a - y: the derivation in twelve lines, each step beside the frameworks, and a picture to play with."""
