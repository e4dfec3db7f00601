//! Tests of the kubelet against a real containerd.
