// Builds helm-unittest, whose own go.mod has a replacement, which `go install` refuses. hack/go-tools.sh builds it.
module archivmail.io/tools/helm-unittest

go 1.26.0

require github.com/helm-unittest/helm-unittest v1.1.2

replace github.com/vmware-labs/yaml-jsonpath v0.3.2 => github.com/helm-unittest/yaml-jsonpath v0.4.0
