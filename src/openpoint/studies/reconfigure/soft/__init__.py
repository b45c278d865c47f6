"""The state that breaks limits least, where nothing keeps them all."""
