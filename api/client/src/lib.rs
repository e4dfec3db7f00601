//! List, watch and patch the Kubernetes API over any transport.
