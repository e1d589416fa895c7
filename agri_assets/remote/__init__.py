"""Other hosts: requests that wait and try again, signatures made when needed, rasters read by range or downloaded."""
