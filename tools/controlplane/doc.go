// Package controlplane holds no code: its go.mod and go.sum pin the kube-apiserver that the tests run.
//
// k8s.io/kubernetes cannot be built by "go install path@version", because its go.mod replaces the staging modules
// with folders of its own tree. Here each of them is required at its published version instead, which beats the
// v0.0.0 that k8s.io/kubernetes asks for. hack/controlplane.sh builds it, hack/controlplane.sh --update refreshes go.sum.
package controlplane
