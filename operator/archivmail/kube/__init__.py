"""The Kubernetes side: the only home of kopf and kubernetes."""
