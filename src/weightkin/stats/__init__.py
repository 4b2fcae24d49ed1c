"""Laws of chance for matchings of units. Arrays in, numbers out: no models here."""
