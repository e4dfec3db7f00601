//! Pods over CRI, volumes, probes, node status and the kubelet server.
