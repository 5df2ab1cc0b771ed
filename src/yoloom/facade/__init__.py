"""The operations of the facade, one file each."""
