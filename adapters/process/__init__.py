"""Implementations in another process or language: messages, programs, and the adapter that speaks to them."""
