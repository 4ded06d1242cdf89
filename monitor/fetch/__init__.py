"""The only code that opens an outgoing HTTP connection to a vendor's channel."""
