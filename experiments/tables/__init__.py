"""Tables of published kind, and the zoo of models that one of them goes through."""
