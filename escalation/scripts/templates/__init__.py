"""The packaged templates: text that is filled with facts, never with code from outside."""
