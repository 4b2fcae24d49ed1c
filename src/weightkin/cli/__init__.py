"""One command per public verb: translates and prints, no arithmetic."""
