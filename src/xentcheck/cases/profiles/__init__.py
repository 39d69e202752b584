"""Profiles: lists of cases by purpose, and the named ones that a run is made of."""
