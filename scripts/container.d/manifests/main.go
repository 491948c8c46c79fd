// Command manifests builds a kustomization as "kubectl kustomize" would, and
// checks each object offline as an API server would: strict decoding, defaults,
// validation, and the "restricted" pod security standard. With -print it prints
// what it has built.
//
// It is a module of its own: Kubernetes has no place in the program's go.mod.
package main

import (
	"flag"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	// What the API server knows.
	_ "k8s.io/kubernetes/pkg/apis/apps/install"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/networking/install"
)

func main() {
	show := flag.Bool("print", false, "print the objects")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: manifests [-print] DIR")
		os.Exit(2)
	}
	if err := check(flag.Arg(0), *show); err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
}

// check builds the kustomization in dir and checks every object.
func check(dir string, show bool) error {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return err
	}
	codecs := serializer.NewCodecFactory(legacyscheme.Scheme, serializer.EnableStrict)
	for _, resource := range built.Resources() {
		document, err := resource.AsYAML()
		if err != nil {
			return err
		}
		if show {
			fmt.Printf("---\n%s", document)
		}
		name := resource.GetKind() + "/" + resource.GetName()
		// Into the server's internal form: with its defaults, as it validates.
		object, _, err := codecs.UniversalDecoder().Decode(document, nil, nil)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := validate(object); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := restricted(object); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintln(os.Stderr, "valid:", name)
	}
	return nil
}
