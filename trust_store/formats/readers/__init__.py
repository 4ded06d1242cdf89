"""One module per package format; ``formats.detect`` holds the explicit order in which they are asked, and imports them as needed."""
