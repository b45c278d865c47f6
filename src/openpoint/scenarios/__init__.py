"""What may come to be, as tables that a user writes: futures, growth, disasters, storms, horizons, days."""
