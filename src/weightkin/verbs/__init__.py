"""The public verbs, one module each; `weightkin` itself names the functions, not these modules."""
