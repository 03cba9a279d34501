"""What the end-to-end tests stand on: servers, the gateway under test, and a client that sends exact octets."""
