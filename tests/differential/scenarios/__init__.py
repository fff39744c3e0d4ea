"""What both servers are asked, a file for each part of the protocol."""
