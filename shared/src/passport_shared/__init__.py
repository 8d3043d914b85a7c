"""What two or more services need: formats, wire, outbound, service, each layer above the one before."""
