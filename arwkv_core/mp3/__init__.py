"""Mp3 as mono sound: an own decoder for what is usual, judged by FFmpeg, which decodes the rest."""
