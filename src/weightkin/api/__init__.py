"""The verbs on models: arguments are checked at the door, a record comes back."""
