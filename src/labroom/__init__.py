"""labroom: rooms of guests on a private network behind NAT, and checks that drive lab programs across them."""
