"""edgegitops: a Kubernetes-free GitOps reconciler for factory gateways."""

__version__ = "0.1.0"
