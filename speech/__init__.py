"""Sentences and audio files to samples, made in a process of their own. Not who hears them."""
