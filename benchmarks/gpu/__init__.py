"""A prepared run on a machine with a GPU and without internet; see README.md here."""
