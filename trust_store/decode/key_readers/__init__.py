"""One module for each kind of key file, all of one shape; the tuple of them is in ``trust_store.decode.key_files``."""
