//! Every wire contract that is not the Kubernetes API.
