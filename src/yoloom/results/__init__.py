"""Results of a prediction, and how they are shown, saved and handed on."""
