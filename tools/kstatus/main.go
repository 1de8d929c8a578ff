// kstatus reads Kubernetes objects as JSON, one after the other, and prints what kstatus makes of each: the verdict on
// which Flux' `wait` and health checks act. The tests run it on objects read back from the API server.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "kstatus: %v\n", err)
		os.Exit(1)
	}
}

// run prints one JSON object per line: {"status": "...", "message": "..."}.
func run(in io.Reader, out io.Writer) error {
	decoder, encoder := json.NewDecoder(in), json.NewEncoder(out)
	for {
		var raw json.RawMessage
		if err := decoder.Decode(&raw); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("standard input is no JSON: %w", err)
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(raw); err != nil { // whole numbers as int64, as kstatus wants them
			return err
		}
		verdict, err := status.Compute(object)
		if err != nil {
			return err
		}
		told := map[string]string{"status": verdict.Status.String(), "message": verdict.Message}
		if err := encoder.Encode(told); err != nil {
			return err
		}
	}
}
