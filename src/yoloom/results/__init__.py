"""What a prediction gives, and how it is shown, saved and handed on."""
