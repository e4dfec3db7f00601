//! Cluster DNS: compiled answers, a UDP loop, hickory for the rest.
